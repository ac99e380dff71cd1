# frozen_string_literal: true

require_relative "support"

class GenServerTest < ActorsTest
  class Counter < Actors::GenServer
    def init(count = 0, step: 1)
      @count = count
      @step = step
    end

    def add(number = @step) = @count += number
    def value = @count
    def fail(text) = raise(ArgumentError, text)
    def thread = Thread.current
    def wait(seconds) = Actors.sleep(seconds)

    private

    def secret = 42
  end

  # Callbacks with every kind of result.
  class Everything < Actors::GenServer
    def init(observer)
      @observer = observer
      @waiting = []
      [:continue, :begin]
    end

    def handle_continue(what) = @observer << [:continued, what]

    def handle_call(request, from)
      case request
      in :later
        @waiting << from
        [:noreply]
      in :answer_all
        @waiting.each { |each| reply(each, :late_answer) }
        [:reply, @waiting.size]
      in [:idle, seconds] then [:reply, :ok, seconds]
      in :continue then [:reply, :ok, [:continue, :more]]
      in [:stop, reason] then [:stop, reason, :stopped]
      in :silent_stop then [:stop, :silent]
      in :wrong then :wrong
      in :pattern then 1 => 2
      end
    end

    def handle_cast(message)
      message in [:stop, _] and return message
      @observer << [:cast, message]
      [:noreply, 0.001]
    end

    def handle_info(message) = @observer << [:info, message]
    def terminate(reason) = @observer << [:terminated, reason]
  end

  def start(klass = Counter, *args, **keywords) = klass.start(*args, isolation: @isolation, **keywords)

  each_isolation "methods_are_requests" do
    counter = start(Counter, 40, step: 5)
    assert_equal 42, counter.call(:add, 2)
    assert counter.cast(:add)
    assert_equal 47, counter.call(:value)
    assert_match(/Counter/, counter.inspect)
    counter.stop
  end

  each_isolation "only_the_server_s_own_public_methods_are_requests" do
    counter = start
    [:unknown, :secret, :init, :object_id, :terminate, :handle_info, "value", nil, [:instance_variable_get, :@count]].each do |request|
      assert_match(/Counter has no public method for/, assert_raises(NoMethodError) { counter.call(request) }.message)
    end
    assert_equal 0, counter.call(:value)
    counter.cast(:secret)
    assert_equal NoMethodError, assert_raises(Actors::Down) { counter.call(:value); counter.call(:value) }.reason.error_class
  end

  each_isolation "a_caller_learns_of_the_end_at_once" do
    counter = start
    error = assert_raises(Actors::Down) { counter.call(:fail, "no luck") }
    assert_equal ["no luck", counter], [error.reason.message, error.actor]
    assert_match(/has ended: ArgumentError: no luck/, error.message)
    assert_raises(Actors::Down) { counter.call(:value) }
  end

  each_isolation "those_who_wait_in_the_queue_learn_of_it_too" do
    counter = start
    counter.cast(:wait, 3600)
    callers = Array.new(3) { spawn(Actors.current, counter) { |to, server| to << begin server.call(:value, timeout: nil) rescue $!.class end } }
    await { counter.size == 3 }
    Actors.exit(counter, :kill)
    assert_equal [Actors::Down] * 3, callers.map { receive }
  end

  each_isolation "calls_end_in_time_and_late_answers_go_nowhere" do
    server = start(Everything, Actors.current)
    assert_equal [:continued, :begin], receive
    assert_match(/has not answered :later within 0.01 s/, assert_raises(Actors::CallTimeout) { server.call(:later, timeout: 0.01) }.message)
    assert_equal 1, server.call(:answer_all)
    assert_nil Actors.receive(timeout: 0)
    server.stop
  end

  each_isolation "callbacks_choose_what_comes_next" do
    server = start(Everything, Actors.current)
    caller = spawn(Actors.current, server) { |to, callee| to << [:got, callee.call(:later)] }
    await { server.arrived == 2 } # with that of init
    assert_equal 1, server.call(:answer_all)
    assert_equal [[:continued, :begin], [:got, :late_answer]], [receive, receive]
    assert_equal :ok, server.call(:continue)
    assert_equal [:continued, :more], receive
    assert_equal :ok, server.call(:idle, 0.001)
    assert_equal [:info, :timeout], receive
    server << :hello
    assert_equal [:info, :hello], receive
    server.cast(:note)
    assert_equal [[:cast, :note], [:info, :timeout]], [receive, receive]
    watch = Actors.monitor(server)
    assert_equal :stopped, server.call(:stop, :enough)
    assert_equal [[:terminated, :enough], [:DOWN, watch, server, :enough]], [receive, receive].sort_by { |message| message.size }
    refute_nil caller
  end

  def test_a_request_of_the_runtime_is_no_message
    Actors::Simulation.run do
      server = Everything.start(Actors.current)
      server.call(:idle, 5)
      Actors.sleep(2)
      assert_equal "[]", Actors.state(server)[:@waiting]
      receive { |message| message == [:info, :timeout] }
      assert_equal 5.0, Actors.now
    end
  end

  def test_a_message_ends_the_wait_for_idleness
    Actors::Simulation.run do
      server = Everything.start(Actors.current)
      server.call(:idle, 5)
      server.call(:continue)
      assert_nil Actors.receive(timeout: 100) { |message| message == [:info, :timeout] }
    end
  end

  each_isolation "each_end_of_a_server_has_its_reason" do
    ends = {
      :silent => ->(server) { assert_raises(Actors::Down) { server.call(:silent_stop) } },
      :cast => ->(server) { server.cast(:stop, :cast) },
      :normal => ->(server) { assert_equal :normal, server.stop },
      :stop => ->(server) { assert_equal :stop, server.stop(:stop) },
      :signal => ->(server) { Actors.exit(server, :signal) }
    }
    ends.each do |reason, act|
      server = start(Everything, Actors.current)
      watch = Actors.monitor(server)
      act.call(server)
      receive { |message| message == [:terminated, reason] }
      assert_equal reason, receive { |message| message in [:DOWN, ^watch, _, _] }[3]
    end
    server = start(Everything, Actors.current)
    Actors.exit(server, :kill)
    watch = Actors.monitor(server)
    assert_equal :killed, receive { |message| message in [:DOWN, ^watch, _, _] }[3]
    assert_nil Actors.receive(timeout: 0) { |message| message in [:terminated, _] }
  end

  # The collector takes the right to answer before the server has ended.
  class Collecting < StandardError
    def message = GC.start && "collected"
  end

  class Failing < Actors::GenServer
    def handle_call(_request, from) = fail_with(from)
    def fail_with(_from) = raise(Collecting)
  end

  each_isolation "a_failed_call_has_the_reason_even_if_its_request_is_collected_first" do
    20.times do
      reason = assert_raises(Actors::Down) { start(Failing).call(:value) }.reason
      assert_equal "GenServerTest::Collecting", reason.respond_to?(:error_class) ? reason.error_class.name : reason
      actor = spawn { receive => [:call, _, _]; raise Collecting }
      assert_equal "GenServerTest::Collecting", assert_raises(Actors::Down) { actor.call(1) }.reason.error_class.name
    end
  end

  each_isolation "a_wrong_result_is_explained" do
    server = start(Everything, Actors.current)
    assert_match(/Everything#handle_call \(.*gen_server_test.rb:\d+\) has returned :wrong. It must return \[:reply, answer\]/,
                 assert_raises(Actors::Down) { server.call(:wrong) }.reason.message)
    server = start(Everything, Actors.current)
    assert_equal "2 === 1 does not return true", assert_raises(Actors::Down) { server.call(:pattern) }.reason.message[/2 ===.*/]
  end

  class Unstarted < Actors::GenServer
    def init(how) = how == :stop ? [:stop, :bad_start] : raise("bad start")
  end

  class Slow < Actors::GenServer
    def init = Actors.sleep(3600)
  end

  each_isolation "a_server_that_does_not_start_is_an_error" do
    assert_equal :bad_start, assert_raises(Actors::Down) { start(Unstarted, :stop) }.reason
    assert_equal "bad start", assert_raises(Actors::Down) { start(Unstarted, :raise) }.reason.message
    assert_raises(Actors::CallTimeout) { start(Slow, timeout: 0.01) }
    assert_raises(Actors::Down) { start(Counter, 1, 2, 3) }
  end

  each_isolation "an_answer_that_cannot_be_copied_is_named" do
    assert_match(/the answer to :thread \(Thread\) cannot be passed/, assert_raises(Actors::Down) { start.call(:thread) }.reason.message)
  end

  each_isolation "an_actor_cannot_call_itself" do
    itself = spawn(Actors.current) { |to| to << begin Actors.current.call(1) rescue $!.class end }
    assert_equal ArgumentError, receive
    refute_nil itself
  end

  each_isolation "names_find_the_present_actor" do
    name = [:counter, @isolation]
    counter = start(Counter, 1, name: name)
    assert_equal 1, Actors[name].call(:value)
    assert_match(/has the name/, assert_raises(Actors::Error) { start(Counter, name: name) }.message)
    assert_equal counter, Actors[name].whereis
    assert Actors[name].cast(:add)
    Actors[name].stop
    assert_nil Actors[name].whereis
    assert_equal :noproc, assert_raises(Actors::Down) { Actors[name].call(:value) }.reason
    start(Counter, 7, name: name)
    assert_equal 7, Actors[name].call(:value)
    Actors[name] << :nothing
    Actors[name].stop
  end

  # A name is awaited by several actors, and an actor gets it at any time: each gets that actor.
  def test_names_are_awaited
    simulate(300) do |_, random|
      Actors::Registry.start(name: :awaited)
      names = [Actors[:awaited], Actors::Registry[:awaited]["key"]]
      waiting = Array.new(4) do |number|
        Actors.spawn_monitor { Actors.sleep(random.rand(3)); names[number % 2].await(timeout: 100).call(:value) }
      end
      names.each do |name|
        Actors.spawn do
          Actors.sleep(random.rand(5))
          server = Counter.start(name: name)
          Actors.sleep(50)
          server.stop
        end
      end
      waiting.each { |actor, watch| assert_equal [:DOWN, watch, actor, :normal], receive { |message| message in [:DOWN, ^watch, _, _] } }
      assert_match(/no actor has got the name :nobody within 3 s/, assert_raises(Actors::Down) { Actors[:nobody].await(timeout: 3) }.message)
      assert_empty Actors::Context.current.runtime.entries[:waiting]
    end
  end

  each_isolation "a_restart_is_awaited" do
    isolation = @isolation
    top = Actors::Supervisor.start(isolation: isolation, max_restarts: 100) { child Counter, name: [:restarted, isolation], isolation: isolation }
    name = Actors[[:restarted, isolation]]
    20.times do
      first = name.await
      assert_raises(Actors::Down) { name.call(:fail, "no luck") }
      refute_equal first, name.await
    end
    top.stop
  end

  # Calls with time limits, answers, and the callee's death, in every order: a call has exactly one outcome, and it is right.
  def test_races_of_answer_time_out_and_death
    simulate(500) do |_, random|
      server = Actors::ServerLoop.start(Sleepy, [], {}, link: false)
      outcomes = Array.new(4) { [] } # of each caller
      callers = Array.new(4) do |number|
        own = Random.new(random.seed * 10 + number)
        Actors.spawn do
          3.times do |round|
            request = [number, round, own.rand(3)]
            outcomes[number] << begin
              server.call(request, timeout: own.rand(1..4)) == request ? :answer : :wrong
            rescue Actors::Error => e
              e.class
            end
          end
        end
      end
      watches = callers.map { |each| Actors.monitor(each) }
      if random.rand(2).zero?
        Actors.sleep(random.rand(6))
        Actors.exit(server, random.rand(2).zero? ? :kill : :please)
      end
      watches.each { |watch| assert_equal :normal, Actors.receive { |m| m in [:DOWN, ^watch, _, _] }[3] }
      assert_equal [3] * 4, outcomes.map(&:size)
      assert_empty outcomes.flatten - [:answer, Actors::CallTimeout, Actors::Down]
      # A server that has ended stays so; one that is alive was never said to have ended.
      outcomes.each { |own| assert_empty own.drop_while { |outcome| outcome != Actors::Down } - [Actors::Down] }
      refute_includes outcomes.flatten, Actors::Down if server.alive?
    end
  end

  class Sleepy < Actors::GenServer
    def handle_call(request, _from)
      Actors.sleep(request.last)
      [:reply, request]
    end
  end
end
