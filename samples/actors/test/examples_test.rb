# frozen_string_literal: true

require_relative "support"
require "stringio"
require_relative "../examples/quiz"
require_relative "../examples/quiz/page"
require_relative "../examples/chat"
require_relative "../examples/calculator"
require_relative "../examples/recipes"

class ExamplesTest < ActorsTest
  def setup
    super
    Quiz::SAVED.keys.each { |key| Quiz::SAVED.delete(key) }
  end

  def solve(question) = Integer.instance_method(question[/[-+*]/].to_sym).bind_call(*question.scan(/\d+/).map(&:to_i)).to_s

  # The block's value, once the actors that it needs run again.
  def patiently
    yield
  rescue Actors::Error
    Actors.sleep(0.001)
    retry
  end

  # Plays until the quiz is mastered, whatever fails meanwhile. Returns the number of questions that were answered.
  def play(title, player)
    answered = 0
    loop do
      question, progress = Quiz.question(title, player)
      result, = Quiz.answer(title, player, progress.number, solve(question))
      answered += 1 unless result == :late
      return answered if result == :mastered
    rescue Actors::Error
      Actors.sleep(0.001) # an actor has just failed
    end
  end

  def test_the_core_needs_no_actors
    progress = Quiz::Core.begin(Quiz::Core.define("Subtraction", operator: :-, mastery: 2), 7)
    assert_equal Quiz::Core.question(progress), Quiz::Core.question(progress)
    right, after = Quiz::Core.answer(progress, " #{solve(Quiz::Core.question(progress))} ")
    assert_equal [true, 1, 1, 0], [right, after.number, after.streak, after.wrong]
    wrong, after = Quiz::Core.answer(after, "none")
    assert_equal [false, 0, 1], [wrong, after.streak, after.wrong]
    refute Quiz::Core.mastered?(after)
    assert_raises(ArgumentError) { Quiz::Core.define("x", operator: :/) }
  end

  def processes(supervisor)
    Actors::Supervisor.which_children(supervisor).map(&:ref) + Actors::DynamicSupervisor.which_children(Actors[:session_supervisor]) + [
      Actors::Registry[:players].whereis(%w[Addition ann])
    ].compact
  end

  def test_each_process_may_be_killed_and_the_quiz_goes_on
    top = Quiz.start(Quiz::Core.define("Addition", mastery: 3))
    killed = 0
    5.times do |index|
      question, progress = patiently { Quiz.question("Addition", "ann") }
      victim = patiently { processes(top)[index] } or next
      watch = Actors.monitor(victim)
      Actors.exit(victim, :kill)
      assert_equal :killed, receive { |message| message in [:DOWN, ^watch, _, _] }[3]
      killed += 1
      assert_equal [question, progress], patiently { Quiz.question("Addition", "ann") }
    end
    assert_equal 5, killed
    assert_equal 3, play("Addition", "ann")
    top.stop
  end

  # In thousands of orders: players master the quiz while its processes are killed, and no answer counts twice.
  def test_the_quiz_under_random_failures
    simulate(150) do |_, random|
      setup
      top = Quiz.start(Quiz::Core.define("Addition", mastery: 5))
      answered = {}
      players = %w[ann bob eve].map { |player| test = self; Actors.spawn { answered[player] = test.play("Addition", player) } }
      6.times do
        Actors.sleep(random.rand / 500)
        victim = begin
          processes(top).sample(random: random)
        rescue Actors::Error
          next
        end
        Actors.exit(victim, :kill) if victim
      end
      players.map { |each| Actors.monitor(each) }.each { |watch| assert_equal :normal, Actors.receive { |m| m in [:DOWN, ^watch, _, _] }[3] }
      %w[ann bob eve].each do |player|
        assert_equal [5, 0], Quiz::SAVED[["Addition", player]].to_a.last(2), player
        assert_operator answered[player], :<=, 5
      end
      top.stop
    end
  end

  def test_a_quiz_closes_on_time
    Actors::Simulation.run do
      top = Quiz.start(Quiz::Core.define("Addition"))
      Actors[:manager].call(:open, "Addition", 60)
      Quiz.question("Addition", "ann")
      session = Actors::Registry[:players].whereis(%w[Addition ann])
      Actors.sleep(61)
      refute_predicate session, :alive?
      assert_raises(ArgumentError) { Quiz.question("Addition", "ann") }
      assert_empty Actors[:manager].call(:titles)
      top.stop
    end
  end

  def request(path, method: "GET", player: "abc", form: "", query: "")
    env = { "PATH_INFO" => path, "REQUEST_METHOD" => method, "QUERY_STRING" => query, "rack.input" => StringIO.new(form) }
    env["HTTP_COOKIE"] = "player=#{player}" if player
    status, headers, body = Quiz::Page.call(env)
    [status, headers, body.join]
  end

  def test_the_page_asks_and_takes_answers
    top = Quiz.start(Quiz::Core.define("Mul & Co", operator: :*, mastery: 2))
    assert_match(/\Aplayer=\h{16};/, request("/", player: nil)[1]["set-cookie"])
    assert_includes request("/")[2], '<a href="/Mul%20%26%20Co">Mul &amp; Co</a>'
    path = "/Mul+%26+Co"
    assert_equal [303, "#{path}?wrong"], request(path, method: "POST", form: "number=0&answer=x").then { |status, headers,| [status, headers["location"]] }
    page = request(path, query: "wrong")[2]
    assert_includes page, "No. 0 right, 1 wrong, 0 of 2 in a row."
    2.times do
      page = request(path)[2]
      number = page[/value="(\d+)"/, 1]
      @last = request(path, method: "POST", form: "number=#{number}&answer=#{solve(page[/\d+ \* \d+/])}")
    end
    assert_includes @last[2], "Mastered! 2 right, 1 wrong"
    assert_equal 404, request("/Unknown").first
    top.stop
    assert_equal 503, request(path).first
  end

  def test_rooms_pass_messages_to_their_members
    top = Chat.start
    200.times { |number| Chat[number] }
    assert_equal 200, Actors::Registry[:rooms].count
    member = Actors.spawn([3, 5], &Chat::MEMBER)
    await { [3, 5].sum { |number| Chat[number].call(:size) } == 2 }
    200.times { |number| Chat[number].cast(:say, "host", "hello #{number}") }
    assert_equal [%w[host], ["hello 3"]], Chat[3].call(:join, Actors.current).transpose
    Chat[3].call(:say, "guest", "hi")
    assert_equal [:said, 3, "guest", "hi"], receive
    assert_equal 1, Chat[5].call(:size) # it has handled what was cast before
    member << [:heard, Actors.current]
    assert_equal [:heard, 3], receive
    Actors.exit(member, :kill)
    await { Chat[5].call(:size).zero? }
    top.stop
    assert_equal 0, Actors::Registry[:rooms].count
  end

  def test_a_calculator_is_started_again_with_its_process
    # A calculator that every system has: it answers with its input, and ends when it is asked to.
    command = ["sh", "-c", 'while read line; do [ "$line" = quit ] && exit 3; echo "= $line"; done']
    top = Actors::Supervisor.start { child Calculator, *command, name: :calculator, isolation: :thread }
    assert_equal "= 1 + 2", Actors[:calculator].call("1 + 2")
    first = Actors[:calculator].whereis
    assert_raises(Actors::Down) { first.call("quit") }
    await { Actors[:calculator].whereis }
    assert_equal "= 3", Actors[:calculator].call("3")
    refute_equal first, Actors[:calculator].whereis
    top.stop
  end

  class Worker < Actors::GenServer
    def work(seconds) = Actors.sleep(seconds)
    def fail = raise("at work")
  end

  # Callers wait, give up, fail or are killed, and workers fail: each worker is free again at the end, and no two callers have it.
  def test_a_pool_has_all_its_workers_again
    simulate(200) do |_, random|
      pool = Recipes::Pool.start(3, Worker)
      lent = []
      callers = Array.new(12) do |number|
        own = Random.new(random.seed * 100 + number)
        Actors.spawn do
          Recipes::Pool.with(pool, timeout: own.rand(1..20)) do |worker|
            raise "lent twice" if lent.include?(worker)

            lent << worker
            worker.call(own.rand(4).zero? ? [:fail] : [:work, own.rand(5)])
          ensure
            lent.delete(worker)
          end
        rescue Actors::Error
          nil # gave up, or the worker has failed
        end
      end
      watches = callers.map { |each| Actors.monitor(each) }
      Actors.sleep(random.rand(10))
      callers.sample(2, random: random).each { |each| Actors.exit(each, :kill) }
      reasons = watches.map { |watch| receive { |message| message in [:DOWN, ^watch, _, _] }[3] }
      assert_empty reasons - %i[normal killed noproc]
      Actors.sleep(100)
      assert_equal 3, pool.call(:free)
    end
  end

  def test_a_limiter_lets_through_what_it_may
    Actors::Simulation.run do
      limiter = Recipes::Limiter.start(10, 5)
      late = Array.new(25) { Actors.spawn_monitor { limiter.call(:pass, timeout: nil) } }
      late.each { |_, watch| receive { |message| message in [:DOWN, ^watch, _, :normal] } }
      assert_in_delta 2.0, Actors.now, 0.1
      assert_raises(Actors::CallTimeout) { 3.times { limiter.call(:pass, timeout: 0.001) } }
      Actors.sleep(100)
      start = Actors.now
      6.times { limiter.call(:pass) }
      assert_in_delta 0.1, Actors.now - start, 0.1
    end
  end

  def test_topics_reach_their_subscribers
    top = Actors::Supervisor.start { child Recipes::Topics, id: :topics }
    Recipes::Topics.subscribe("news")
    Recipes::Topics.publish("sport", 1)
    Recipes::Topics.publish("news", 2)
    assert_equal ["news", 2], receive
    top.stop
  end
end
