# frozen_string_literal: true

require_relative "support"

# What the library says to programs that use it wrongly.
class MistakesTest < ActorsTest
  class Hits < Actors::GenServer
    def init(start) = @count = start
    def add(number) = @count += number
    def count = @count
    def itself_by_name = Actors[:itself].call(:count)
    def thread = Thread.current
    def later(seconds) = [:noreply, seconds]
  end

  class Bad < Actors::GenServer
    def init = raise("no database")
    def handle_cast(seconds) = [:noreply, seconds]
  end

  class Good < Bad
    def init; end
  end

  # Starts of children that raise something else than an actor's end.
  module Broken
    def self.start_link(*) = raise(TypeError, "broken start")
  end

  # A subclass with a mistake in its name of the method.
  class Misspelt < Actors::Supervisor
    def init = chidl(Hits, 0)
  end

  def says(pattern, error = Actors::Error, &mistake)
    assert_match(pattern, assert_raises(error, &mistake).message)
  end

  def hits(start = 0, **options) = Hits.start(start, isolation: @isolation, **options)

  each_isolation "a_server_that_does_not_start_says_why_and_where" do
    says(/#<Actor \d+ MistakesTest::Bad> has not started: RuntimeError: no database \(.*mistakes_test.rb:\d+:in /) { Bad.start(isolation: @isolation) }
    says(/Hits#init takes no nmae:, and MistakesTest::Hits.start has only the options name:, /, ArgumentError) { hits(nmae: :hits) }
    says(/has not started: ArgumentError: wrong number of arguments/) { Hits.start(isolation: @isolation) }
    says(/isolation: must be one of .*, not :process/, ArgumentError) { Hits.start(0, isolation: :process) }
    taken = hits(name: [:taken, @isolation])
    says(/#{Regexp.escape(taken.inspect)} has the name \[:taken, .*\] already: choose another/) { hits(name: [:taken, @isolation]) }
  end

  each_isolation "a_call_that_fails_says_where" do
    server = hits
    says(/has ended: TypeError: .* \(.*mistakes_test.rb:\d+:in /, Actors::Down) { server.call(:add, "two") }
    assert_empty server.reason.backtrace.grep(%r{/lib/actors/})
    says(/no actor has the name :nobody/, Actors::Down) { Actors[:nobody].call(:count) }
    hits(name: :itself)
    error = assert_raises(Actors::Down) { Actors[:itself].call(:itself_by_name) }
    assert_match(/calls itself.*call the method, or use cast \(.*mistakes_test.rb:\d+:in .*itself_by_name/, error.message)
    slow = spawn { Actors.sleep(3600) }
    slow << 1
    says(/has not answered :x within 0.01 s; 2 messages in its mailbox/) { slow.call(:x, timeout: 0.01) }
    says(/has not ended within 0.01 s/) { slow.stop(timeout: 0.01) }
    Actors.exit(slow, :kill)
    idle = spawn { receive }
    says(/is alive, and will not answer/, Actors::Down) { Actors.state(idle) }
    says(/"x" is no number of seconds/, ArgumentError) { hits.call(:count, timeout: "x") }
  end

  each_isolation "what_cannot_be_sent_is_named_by_the_sender" do
    server = hits
    { Thread.current => "Thread", $stdout => "IO", proc {} => "Proc" }.each do |object, name|
      says(/the request\[1\]\[:log\]\[0\] \(#{name}\) cannot be passed/, TypeError) { server.call(:add, { log: [object] }) }
      says(/the message \(#{name}\) cannot be passed .*Pass what it is made from, or open it in the actor\z/, TypeError) { server << object }
    end
    assert_equal 0, server.call(:count)
    says(/the value of the task \(Thread\) cannot be passed/, Actors::Down) { Actors::Task.async(isolation: @isolation) { Thread.current }.await }
    next if @isolation == :thread

    says(/argument 1 of init \(IO\) cannot be passed .* or start the actor with isolation: :thread/, TypeError) { hits($stdin) }
  end

  each_isolation "a_result_that_means_nothing_is_explained" do
    [["x"], [:hibernate], [Float::NAN]].each do |(wrong)|
      server = Good.start(isolation: @isolation)
      server.cast(wrong)
      watch = Actors.monitor(server)
      reason = receive { |message| message in [:DOWN, ^watch, _, _] }[3]
      assert_match(/Good#handle_cast \(.*\) has returned \[:noreply, .*must return \[:noreply, seconds\]|NaN is no number of seconds/, reason.message)
    end
  end

  each_isolation "functions_take_names_and_refuse_what_is_no_actor" do
    name = [:named, @isolation]
    server = hits(name: name)
    watch = Actors.monitor(Actors[name])
    assert_equal({ :@count => "0" }, Actors.state(Actors[name]))
    assert_match(/Hits #\d+ \(0 waiting/, Actors.tree(Actors[name]))
    Actors.exit(Actors[name], :enough)
    assert_equal [:DOWN, watch, server, :enough], receive
    refute_predicate Actors[name], :alive?
    %i[monitor link unlink].each { |function| says(/\A42 is no actor: pass a reference, or a name/, TypeError) { Actors.send(function, 42) } }
    says(/\A42 is no actor/, TypeError) { Actors.exit(42, :kill) }
  end

  def test_a_block_that_is_missing_is_missed
    [-> { Actors.spawn }, -> { Actors::Task.async(1) }, -> { Actors::Task.async_stream([1]).to_a },
     -> { Actors::Agent.get(Actors::Agent.start(1)) }].each do |mistake|
      says(/\Athe block is missing/, ArgumentError, &mistake)
    end
  end

  each_isolation "supervisors_survive_children_that_do_not_start" do
    start = Actors::DynamicSupervisor.method(:start_child)
    teams = Actors::DynamicSupervisor.start(isolation: @isolation, max_children: 2)
    first = start.(teams, Hits, 0, isolation: @isolation)
    says(/Bad has not started: RuntimeError: no database/, Actors::Down) { start.(teams, Bad) }
    says(/Broken has not started: TypeError: broken start/, Actors::Down) { start.(teams, Broken) }
    says(/Hits has not started: ArgumentError: isolation: must be one of/, Actors::Down) { start.(teams, Hits, 0, isolation: :x) }
    start.(teams, Hits, 0)
    says(/as many children as max_children: allows/, Actors::Down) { start.(teams, Hits, 0) }
    assert_predicate first, :alive?
    fixed = Actors::Supervisor.start(isolation: @isolation) { child Hits, 0, id: 1 }
    says(/Broken has not started: TypeError: broken start/, Actors::Down) { Actors::Supervisor.start_child(fixed, Broken) }
    says(/:x has not started: the supervisor has no child with this id/, Actors::Down) { Actors::Supervisor.restart_child(fixed, :x) }
    says(/1 has not started: it runs already/, Actors::Down) { Actors::Supervisor.restart_child(fixed, 1) }
    assert_equal 1, Actors::Supervisor.count_children(fixed)[:active]
    [teams, fixed].each(&:stop)
  end

  def test_a_supervisor_that_does_not_start_names_the_child
    says(/Supervisor> has not started: its child :a has not started: RuntimeError: no database/) do
      Actors::Supervisor.start { child Bad, id: :a }
    end
    says(/has not started: its child MistakesTest::Broken has not started: TypeError: broken start/) { Actors::Supervisor.start { child Broken } }
    says(/has not started: NoMethodError: undefined method .chidl/) { Misspelt.start }
    says(/max_restarts: must be a number of restarts, not "1"/) { Actors::Supervisor.start(max_restarts: "1") { child Hits, 0 } }
    says(/:Hits cannot be a child: .*pass a class/, ArgumentError) { Actors::Supervisor.start { child :Hits } }
  end

  # All timers are one actor's: a mistake with one must not end the others.
  def test_no_timer_of_one_ends_those_of_others
    me = Actors.current
    Actors.send_after(0.05, me, :mine)
    says(/\A:x is no actor/, TypeError) { Actors.send_after(0.01, :x, 1) }
    says(/"1" is no number/, ArgumentError) { Actors.send_after("1", me, 1) }
    says(/NaN is no number/, ArgumentError) { Actors.send_after(Float::NAN, me, 1) }
    [0, -1, "1", nil].each { |seconds| says(/an interval must be longer than 0 s/, ArgumentError) { Actors.interval(seconds, me, 1) } }
    Actors.send_after(0, Actors[:nobody], 1)
    Actors.send_after(0, Actors::Registry[:nowhere][1], 1)
    Actors.send_after(-1, me, :at_once)
    assert_equal %i[at_once mine], [receive, receive]
  end

  def test_a_timer_finds_the_present_actor_of_a_name
    Actors::Simulation.run do
      me = Actors.current
      Actors.interval(10, Actors[:late], :tick)
      Actors.sleep(25)
      Actors.spawn { Actors::Names.register(Actors::Context.current.runtime, :late, Actors.current); 2.times { me << Actors.receive } }
      assert_equal %i[tick tick], [Actors.receive, Actors.receive]
      assert_equal 40.0, Actors.now
    end
  end

  def test_a_registry_is_not_ended_by_what_is_no_actor
    Actors::Registry.start(name: :firm)
    says(/42 is no actor/, TypeError) { Actors::Registry[:firm].register("a", ref: 42) }
    says(/there is no registry :nowhere: start it/) { Actors::Registry[:nowhere].register("a") }
    assert Actors::Registry[:firm].register("a")
    says(/has the key "a" of the registry :firm already/) { hits(name: Actors::Registry[:firm]["a"]) }
  end

  each_isolation "waits_for_no_number_end_only_the_actor" do
    [-> { Actors.sleep(Float::NAN) }, -> { Actors.receive(timeout: Complex(1, 1)) }, -> { Actors.sleep("1") }].each do |wait|
      _, watch = spawn_monitor(&wait)
      assert_match(/is no number of seconds/, receive { |message| message in [:DOWN, ^watch, _, _] }[3].message)
    end
  end
end
