# frozen_string_literal: true

require_relative "support"

# Registries, tasks, agents and timers.
class ServicesTest < ActorsTest
  class Holder < Actors::GenServer
    def init(value = nil) = @value = value
    def value = @value
    def join(registry, key, value) = Actors::Registry[registry].register(key, value)
    def leave(registry, key) = Actors::Registry[registry].unregister(key)
  end

  def registry(kind, **options)
    @count = (@count || 0) + 1
    name = [kind, @isolation, @count]
    @server = Actors::Registry.start(name: name, keys: kind, isolation: @isolation, **options)
    Actors::Registry[name]
  end

  def holder(*args, **options) = Holder.start(*args, isolation: @isolation, **options)

  each_isolation "unique_keys_belong_to_one_actor_until_it_ends" do
    rooms = registry(:unique)
    one = holder(1, name: rooms["a"])
    assert_equal 1, rooms["a"].call(:value)
    assert_match(/has the key "a"/, assert_raises(Actors::Error) { holder(2, name: rooms["a"]) }.message)
    other = holder(2)
    assert_raises(Actors::Down) { other.call(:join, rooms.name, "a", nil) }
    assert_equal [[one, nil]], rooms.lookup("a")
    one.stop
    assert_nil rooms.whereis("a")
    assert_equal :noproc, assert_raises(Actors::Down) { rooms["a"].call(:value) }.reason
    holder(3, name: rooms["a"])
    assert_equal 3, rooms["a"].call(:value)
    assert_equal [["a"], 1], [rooms.keys, rooms.count]
    rooms["a"].stop
    @server.call(:register, "x", 1, Actors.current) # it has handled the end of "a"
    assert_equal ["x"], rooms.keys
  end

  each_isolation "duplicate_keys_reach_all_who_have_them" do
    topics = registry(:duplicate)
    actors = Array.new(3) { |number| holder.tap { |each| each.call(:join, topics.name, "news", number) } }
    actors[1].call(:join, topics.name, "sport", :x)
    actors[0].call(:leave, topics.name, "news")
    seen = []
    topics.dispatch("news") { |ref, value| seen << [ref, value] }
    assert_equal [[actors[1], 1], [actors[2], 2]], seen
    actors[1].stop
    assert_equal [[actors[2], 2]], topics.lookup("news")
    assert_empty topics.lookup("sport")
    topics.register("own", 42)
    assert_equal [[Actors.current, 42]], topics.lookup("own")
  end

  def test_an_unknown_registry_says_so
    assert_match(/no registry :nowhere/, assert_raises(Actors::Error) { Actors::Registry[:nowhere].lookup(1) }.message)
    assert_raises(Actors::Down) { Actors::Registry.start(name: :x, keys: :some) }
  end

  # Actors that register, leave and end at any time: a unique key never has two owners, and nothing stays.
  def test_registrations_are_accounted_for
    simulate(300) do |_, random|
      server = Actors::Registry.start(name: :simulated)
      rooms = Actors::Registry[:simulated]
      owners = {}
      actors = Array.new(4) do |number|
        own = Random.new(random.seed * 5 + number)
        Actors.spawn do
          6.times do
            key = own.rand(2)
            begin
              rooms.register(key)
              raise "two owners" if owners.any? { |(other, k), ref| other != number && k == key && ref.alive? }

              owners[[number, key]] = Actors.current
              Actors.sleep(own.rand(2))
              Actors.exit(:early) if own.rand(6).zero?
              owners.delete([number, key])
              rooms.unregister(key)
            rescue Actors::Error
              Actors.sleep(1)
            end
          end
        end
      end
      watches = actors.map { |each| Actors.monitor(each) }
      watches.each { |watch| assert_includes %i[normal early], Actors.receive { |m| m in [:DOWN, ^watch, _, _] }[3] }
      Actors.sleep(1)
      assert_equal [[], 0], [rooms.keys, rooms.count]
      assert_equal({ "@keys" => "{}", "@watches" => "{}" }, state_of(server).slice("@keys", "@watches"))
    end
  end

  def state_of(server)
    Actors.state(server).to_h { |name, value| [name.to_s, value] }
  end

  each_isolation "a_task_computes_elsewhere" do
    task = Actors::Task.async(20, isolation: @isolation) { |number| number + 1 }
    assert_equal 21, task.await
    assert_equal 21, task.await
    error = assert_raises(Actors::Down) { Actors::Task.async(isolation: @isolation) { raise IOError, "no luck" }.await }
    assert_equal [IOError, "no luck"], [error.reason.error_class, error.reason.message]
    slow = Actors::Task.async(isolation: @isolation) { sleep(3600) }
    assert_nil slow.yield(timeout: 0)
    assert_raises(Actors::CallTimeout) { slow.await(timeout: 0.001) }
    assert_equal [:exit, :killed], slow.shutdown
    refute_predicate slow.ref, :alive?
    assert_nil Actors.receive(timeout: 0)
  end

  def test_supervised_tasks_outlive_their_starter_and_end_with_their_supervisor
    skip "this Ruby cannot pass blocks to other actors" unless Actors::Runtime::RACTORS
    top = Actors::Task::Supervisor.start
    me = Actors.current
    starter, watch = Actors.spawn_monitor(top, me) do |supervisor, to|
      Actors::Task::Supervisor.start_child(supervisor, to, 20) { |receiver, number| receiver << number + 1 << current; sleep(3600) }
    end
    assert_equal :normal, receive { |message| message in [:DOWN, ^watch, _, _] }[3]
    assert_equal 21, receive
    task = receive
    refute_predicate starter, :alive?
    assert_predicate task, :alive?
    assert_equal [task], Actors::DynamicSupervisor.which_children(top)
    top.stop
    assert_equal :shutdown, task.reason
  end

  def test_tasks_without_a_link_are_awaited_and_end_nobody
    skip "this Ruby cannot pass blocks to other actors" unless Actors::Runtime::RACTORS
    top = Actors::Task::Supervisor.start
    start = ->(*args, &work) { Actors::Task::Supervisor.async_nolink(top, *args, &work) }
    assert_equal 42, start.(20) { |number| number * 2 + 2 }.await
    assert_equal "no luck", assert_raises(Actors::Down) { start.() { raise "no luck" }.await }.reason.message
    assert_equal "SystemExit", assert_raises(Actors::Down) { start.() { GC.start; Kernel.exit } .await }.reason.error_class.name
    assert_raises(Actors::CallTimeout) { start.() { sleep(3600) }.await(timeout: 0.01) }
    assert_equal [:exit, :killed], start.() { sleep(3600) }.shutdown
    owner = Actors.spawn(top, Actors.current) do |supervisor, to|
      task = Actors::Task::Supervisor.async_nolink(supervisor, to) { |receiver| receiver << current; receive }
      task.await(timeout: nil)
    end
    task = receive
    Actors.exit(owner, :kill)
    await { !owner.alive? }
    assert_predicate task, :alive?
    waiting = start.() { sleep(3600) }
    top.stop
    assert_equal :shutdown, assert_raises(Actors::Down) { waiting.await }.reason
    assert_equal :shutdown, task.reason
    assert_nil Actors.receive(timeout: 0)
  end

  # Owners end at any time: their tasks go on, or never begin, and none stays.
  def test_no_task_without_a_link_waits_for_an_owner_that_has_ended
    skip "this Ruby cannot pass blocks to other actors" unless Actors::Runtime::RACTORS
    simulate(300) do |_, random|
      top = Actors::Task::Supervisor.start
      owner = Actors.spawn { Actors::Task::Supervisor.async_nolink(top) { Actors.sleep(5) }.await; Actors.sleep(1) }
      Actors.sleep(random.rand(8)) if random.rand(3).zero?
      Actors.exit(owner, :kill)
      Actors.sleep(100)
      assert_equal 0, Actors::DynamicSupervisor.count_children(top)
    end
  end

  each_isolation "tasks_leave_no_messages" do
    Actors.trap_exit
    [-> { 1 }, -> { raise "no luck" }].each do |work|
      task = Actors::Task.async(isolation: :thread, &work)
      watch = Actors.monitor(task.ref)
      task.yield
      assert_equal :normal, receive { |message| message in [:DOWN, ^watch, _, _] }[3]
    end
    assert_nil Actors.receive(timeout: 0)
  end

  each_isolation "a_task_ends_with_the_actor_that_started_it" do
    owner = spawn(Actors.current, @isolation) do |to, isolation|
      to << Actors::Task.async(isolation: isolation) { sleep(3600) }.ref
      receive
    end
    task = receive
    watch = Actors.monitor(task)
    Actors.exit(owner, :gone)
    assert_equal [:DOWN, watch, task, :gone], receive
  end

  each_isolation "a_stream_of_tasks_keeps_the_order_or_does_not" do
    options = { isolation: @isolation }
    squares = Actors::Task.async_stream(1..10, max_concurrency: 3, **options) { |number| number * number }
    assert_equal (1..10).map { |number| [:ok, number * number] }, squares.to_a
    assert_equal [[:ok, 1], [:ok, 4]], squares.first(2)
    failing = Actors::Task.async_stream([1, 0, 2], **options) { |number| 2 / number }.to_a
    assert_equal [[:ok, 2], :exit, [:ok, 1]], failing.map { |result| result.first == :ok ? result : result.first }
  end

  def test_a_stream_of_tasks_in_virtual_time
    simulate(100) do |_, random|
      durations = Array.new(8) { random.rand(1..9) }
      most = random.rand(1..4)
      running = 0
      stream = lambda do |**options|
        Actors::Task.async_stream(durations, max_concurrency: most, **options) do |seconds|
          running += 1
          raise "too many" if running > most
          Actors.sleep(seconds)
          running -= 1
          seconds
        end.to_a
      end
      assert_equal durations.map { |seconds| [:ok, seconds] }, stream.call(timeout: nil)
      assert_equal durations.sort, stream.call(timeout: nil, ordered: false).map(&:last).sort
    end
  end

  def test_late_tasks_are_ended_or_raise
    Actors::Simulation.run do
      wait = ->(**options) { Actors::Task.async_stream([1, 9, 2], timeout: 5, **options) { |seconds| Actors.sleep(seconds) && seconds }.to_a }
      assert_equal [[:ok, 1], [:exit, :timeout], [:ok, 2]], wait.call(on_timeout: :kill_task)
      assert_raises(Actors::CallTimeout) { wait.call }
      assert_nil Actors.receive(timeout: 0)
    end
  end

  def test_wrong_options_of_a_stream_are_explained
    error = ->(**options) { assert_raises(ArgumentError) { Actors::Task.async_stream([1], **options) { 1 } }.message }
    assert_equal "on_timeout: must be :raise or :kill_task, not :kill", error.(on_timeout: :kill)
    assert_equal "max_concurrency: must be at least 1, not 0", error.(max_concurrency: 0)
  end

  each_isolation "an_agent_keeps_a_value" do
    agent = Actors::Agent.start({ a: 1 }, isolation: @isolation)
    assert_equal 1, agent.call(:get, :[], :a)
    assert_equal :ok, agent.call(:update, :merge, { b: 2 })
    assert_equal({ a: 1, b: 2 }, agent.call(:get))
    agent.cast(:update, :merge, { c: 3 })
    assert_equal 3, agent.call(:get, :size)
    if Actors::Runtime::RACTORS
      assert_equal 1, Actors::Agent.get_and_update(agent) { |hash| [hash[:a], { z: 9 }] }
      assert_equal :ok, Actors::Agent.update(agent) { |hash| hash.merge(y: 8) }
      assert_equal 2, Actors::Agent.get(agent, &:size)
    end
    agent.stop
  end

  def test_timers_send_messages
    me = Actors.current
    Actors.send_after(0.001, me, :once)
    assert_equal :once, receive
    timer = Actors.interval(0.001, me, :again)
    assert_equal [:again] * 3, Array.new(3) { receive }
    assert_equal true, Actors.cancel_timer(timer)
    assert_equal false, Actors.cancel_timer(timer)
  end

  # Timers by a model: what fires when.
  def test_timers_are_exact
    simulate(200) do |_, random|
      expected = []
      timers = Array.new(10) do
        seconds = random.rand(1..50)
        timer = Actors.send_after(seconds, Actors.current, [:fired, seconds])
        [timer, seconds]
      end
      cancelled = timers.sample(random.rand(4), random: random)
      cancelled.each { |timer, _| assert_equal true, Actors.cancel_timer(timer) }
      expected = (timers - cancelled).map(&:last).sort
      interval = Actors.interval(20, Actors.current, :interval)
      got = []
      until Actors.now >= 61
        message = Actors.receive(timeout: 61 - Actors.now) or break
        message == :interval ? assert_in_delta(0, Actors.now % 20) : got << [message[1], Actors.now]
      end
      assert_equal expected.map { |seconds| [seconds, seconds.to_f] }, got.sort
      assert Actors.cancel_timer(interval)
      assert_nil Actors.receive(timeout: 100)
    end
  end

  def test_timers_of_the_same_time_keep_their_order
    Actors::Simulation.run do
      5.times { |number| Actors.send_after(1, Actors.current, number) }
      assert_equal (0...5).to_a, Array.new(5) { Actors.receive }
    end
  end

  def test_a_timer_for_a_full_mailbox_waits
    Actors::Simulation.run do
      me = Actors.current
      full = Actors.spawn(capacity: 1) { Actors.sleep(10); 2.times { me << Actors.receive } }
      full << :first
      Actors.send_after(1, full, :late)
      assert_equal [:first, :late], [Actors.receive, Actors.receive]
      assert_in_delta 10, Actors.now, 0.02
    end
  end
end
