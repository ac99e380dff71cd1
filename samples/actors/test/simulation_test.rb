# frozen_string_literal: true

require_relative "support"

# Simulations, and what thousands of them show of messages, monitors and links.
class SimulationTest < ActorsTest
  # As Fiber.new, of a system that has no memory for more stacks.
  NO_STACK = Object.new.tap { |fiber| def fiber.resume(_) = raise(FiberError, "can't allocate fiber stack") }

  def test_an_actor_without_memory_for_its_stack_ends_alone
    Actors::Simulation.run do
      me = Actors.current
      waiting = Actors.spawn { me << Actors.receive }
      Actors.sleep(1)
      Fiber.define_singleton_method(:new) { |&_| NO_STACK }
      lost = Array.new(40) { Actors.spawn_monitor { Actors.receive } }.filter_map do |actor, watch|
        Actors.receive(timeout: 1) { |message| message in [:DOWN, ^watch, ^actor, Actors::Crash(message: /stack/)] }
      end
      Fiber.singleton_class.remove_method(:new)
      refute_empty lost
      assert_match(/too many actors wait.*vm.max_map_count/, lost.first[3].message)
      waiting << :alive
      assert_equal :alive, Actors.receive
      assert_equal 1, Actors::Task.async { 1 }.await
    end
  ensure
    Fiber.singleton_class.remove_method(:new) if Fiber.singleton_methods(false).include?(:new)
  end

  def test_seeds_choose_orders
    orders = Array.new(200) do |seed|
      Actors::Simulation.run(seed: seed) do
        me = Actors.current
        %i[a b c].each { |name| Actors.spawn { 2.times { me << name } } }
        Array.new(6) { Actors.receive }
      end
    end
    assert_operator orders.uniq.size, :>, 20
  end

  def test_a_seed_repeats_its_run
    run = lambda do
      Actors::Simulation.run(seed: 7) do
        trace = []
        actors = Array.new(5) { |name| Actors.spawn { loop { trace << [name, Actors.receive(timeout: 0.5), Actors.now] } } }
        20.times { |number| actors[number % 5] << number }
        Actors.sleep(2)
        trace
      end
    end
    assert_equal run.call, run.call
  end

  def test_time_passes_only_in_waits
    Actors::Simulation.run do
      assert_equal 0.0, Actors.now
      Actors.spawn { Actors.sleep(10) }
      Actors.sleep(86_400)
      assert_equal 86_400.0, Actors.now
      assert_nil Actors.receive(timeout: 5)
      assert_equal 86_405.0, Actors.now
    end
  end

  def test_its_value_and_its_error_are_those_of_the_block
    assert_equal 42, Actors::Simulation.run { 42 }
    assert_equal "x", assert_raises(IOError) { Actors::Simulation.run { raise IOError, "x" } }.message
    error = assert_raises(Actors::Simulation::Stuck) { Actors::Simulation.run(seed: 3) { Actors.receive } }
    assert_match(/the simulation.*seed 3/, error.message)
  end

  # A worker, which a simulation is, too, forgets actors that have ended and time-outs that are no longer needed.
  def test_a_worker_keeps_only_what_it_needs
    Actors::Simulation.run do |simulation|
      size = ->(name) { simulation.instance_variable_get(name).size }
      echo = Actors.spawn { loop { Actors.receive => [:call, from, request]; from.answer(request) } }
      200.times { |number| assert_equal number, echo.call(number, timeout: 3600) }
      200.times { Actors.monitor(Actors.spawn { 1 }) && Actors.receive }
      assert_operator size.call(:@timetable), :<=, 2
      assert_operator size.call(:@actors), :<=, 3
      assert_operator size.call(:@fibers), :<=, Actors::Worker::SPARE_FIBERS
    end
  end

  # Actors send numbered messages to others with small mailboxes, one of which may be killed: each message arrives once and in
  # its order, or its receiver has ended.
  def test_messages_are_accounted_for
    simulate(400) do |_, random|
      taken = Hash.new { |all, key| all[key] = [] }
      receivers = Array.new(3) do |index|
        Actors.spawn(capacity: random.rand(1..3)) { loop { Actors.receive => [from, number]; taken[[from, index]] << number } }
      end
      senders = Array.new(3) { |from| Actors.spawn { 30.times { |number| receivers[number % 3] << [from, number] } } }
      watches = senders.map { |each| Actors.monitor(each) }
      killed = receivers.sample(random: random) if random.rand(2).zero?
      Actors.exit(killed, :kill) if killed
      watches.each { |watch| assert_equal :normal, Actors.receive { |m| m in [:DOWN, ^watch, _, _] }[3] }
      Actors.sleep(1)
      [0, 1, 2].product([0, 1, 2]) do |from, index|
        all = (index..29).step(3).to_a
        got = taken[[from, index]]
        assert_equal killed == receivers[index] ? all.first(got.size) : all, got
      end
    end
  end

  # Random monitors, links and ends: each monitor that is not given up is told once, the others never.
  def test_every_down_is_told_once
    simulate(500) do |_, random|
      told = Hash.new(0)
      expected = []
      targets = Array.new(4) { |index| Actors.spawn { Actors.receive(timeout: index); Actors.exit(index) } }
      watchers = Array.new(3) do |number|
        own = Random.new(random.seed + number)
        Actors.spawn do
          given_up = {}
          12.times do
            target = targets.sample(random: own)
            watch = Actors.monitor(target)
            Actors.sleep(own.rand(2)) if own.rand(3).zero?
            if own.rand(3).zero?
              given_up[watch] = Actors.demonitor(watch)
            else
              expected << watch
            end
            told[Actors.receive[1]] += 1 if own.rand(4).zero? && expected.any? { |each| each == watch }
          end
          while (message = Actors.receive(timeout: 10))
            told[message[1]] += 1
            raise "told after its end" if given_up[message[1]]
          end
        end
      end
      targets.sample(random: random) << :end
      watches = watchers.map { |each| Actors.monitor(each) }
      reasons = watches.map { |watch| Actors.receive { |m| m in [:DOWN, ^watch, _, _] }[3] }
      assert_equal [:normal] * 3, reasons
      assert_equal expected.to_h { |watch| [watch, 1] }, told.sort.to_h
    end
  end

  # A random graph of links: exactly those end that are connected with the one that fails, through others that do not trap.
  def test_links_end_what_is_connected
    simulate(300) do |_, random|
      count = 6
      pairs = Array.new(random.rand(1..8)) { Array.new(2) { random.rand(count) } }.reject { |a, b| a == b }
      traps = Array.new(count) { random.rand(4).zero? }
      heard = Hash.new { |all, key| all[key] = [] }
      actors = Array.new(count) do |index|
        Actors.spawn do
          Actors.trap_exit if traps[index]
          loop do
            case Actors.receive
            in [:link, other] then Actors.link(other)
            in [:unlink, other] then Actors.unlink(other)
            in :fail then Actors.exit(:failed)
            in [:EXIT, who, :failed] then heard[index] << who
            end
          end
        end
      end
      unlinked = pairs.select { random.rand(4).zero? }
      pairs.each { |a, b| actors[a] << [:link, actors[b]] }
      Actors.sleep(1)
      unlinked.each { |a, b| actors[b] << [:unlink, actors[a]] }
      Actors.sleep(1)
      linked = pairs.reject { |a, b| unlinked.any? { |pair| pair.sort == [a, b].sort } }
      ended = [0]
      ended.each { |one| linked.each { |a, b| other = one == a ? b : (one == b ? a : nil); ended << other if other && !traps[other] && !ended.include?(other) } }
      actors[0] << :fail
      Actors.sleep(1)
      assert_equal ended.sort, (0...count).reject { |index| actors[index].alive? }
      count.times do |index|
        next if ended.include?(index)

        partners = linked.select { |pair| pair.include?(index) }.map { |pair| (pair - [index]).first }.uniq & ended
        assert_equal partners.map { |other| actors[other] }.sort_by(&:id), heard[index].sort_by(&:id)
      end
    end
  end
end
