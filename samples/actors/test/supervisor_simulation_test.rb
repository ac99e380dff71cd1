# frozen_string_literal: true

require_relative "support"

# Supervisors under thousands of orders of failures, restarts, requests and shutdown.
class SupervisorSimulationTest < ActorsTest
  # Writes its start and end into a log, and fails on request or by itself.
  class Child < Actors::GenServer
    def init(log, id, chaos)
      @log = log
      @id = id
      Actors.sleep(chaos.rand(3) / 10.0) if chaos.rand(3).zero?
      raise "no start" if chaos.rand(12).zero?

      log << [:start, id, Actors.current]
      [:continue, chaos.rand(1..20)]
    end

    def handle_continue(seconds) = [:noreply, seconds]
    def handle_info(message) = (raise "by itself" if message == :timeout)
    def crash = raise("on request")
    def finish(reason) = Actors.exit(reason)

    def terminate(_reason)
      @log << [:end, @id, Actors.current]
    end
  end

  LOGS = [] # the last one is that of the simulation
  IDS = %i[a b c d].freeze

  # What ran at the same time: each entry of the log is checked.
  def check_log(log, strategy)
    running = {}
    log.each do |what, id, ref|
      if what == :start
        refute running.key?(id), "#{id} was started twice"
        running[id] = ref
        after = IDS.drop(IDS.index(id) + 1)
        # Those after it were ended before, so they start again after it.
        assert_empty running.keys & after, strategy unless strategy == :one_for_one
      else
        assert_equal running[id], ref if running[id]
        running.delete(id)
      end
    end
    assert_empty running, "these were left behind"
  end

  %i[one_for_one one_for_all rest_for_one].each do |strategy|
    define_method(:"test_#{strategy}_keeps_its_children") do
      simulate(250) do |_, random|
        log = []
        chaos = Random.new(random.seed + 1)
        top = begin
          Actors::Supervisor.start(strategy: strategy, max_restarts: random.rand(1..8), max_seconds: 5) do
            IDS.each { |id| child Child, log, id, chaos, id: id, shutdown: 1 }
          end
        rescue Actors::Down
          check_log(log, strategy)
          next
        end
        watch = Actors.monitor(top)
        12.times do
          break unless top.alive?

          Actors.sleep(random.rand(4) / 2.0)
          case random.rand(4)
          when 0 then log.last.last.cast(:crash)
          when 1 then Actors.exit(log.sample(random: random).last, random.rand(2).zero? ? :please : :shutdown)
          when 2 then Actors.sleep(random.rand(3))
          else assert_equal IDS, Actors::Supervisor.which_children(top).map(&:id)
          end
        rescue Actors::Down
          refute_predicate top, :alive?
        end
        top.stop(timeout: nil) if top.alive?
        assert_includes %i[normal shutdown], Actors.receive { |message| message in [:DOWN, ^watch, _, _] }[3]
        Actors.sleep(30)
        check_log(log, strategy)
        assert_empty log.map(&:last).select(&:alive?)
      end
    end
  end

  # The intensity by a model: the supervisor ends exactly with the restart that is one too many.
  def test_the_intensity_is_exact
    simulate(300) do |_, random|
      most = random.rand(0..3)
      seconds = random.rand(1..5)
      log = []
      top = Actors::Supervisor.start(max_restarts: most, max_seconds: seconds) { child Quiet, log, id: :only }
      times = []
      20.times do
        Actors.sleep(random.rand(30) / 10.0)
        watch = Actors.monitor(log.last)
        Actors.exit(log.last, :crash)
        Actors.receive { |message| message in [:DOWN, ^watch, _, _] }
        times << Actors.now
        recent = times.count { |time| time >= Actors.now - seconds }
        Actors.sleep(0.01)
        assert_equal recent <= most, top.alive?, "#{recent} restarts of #{most} in #{seconds} s"
        break unless top.alive?
      end
    end
  end

  class Quiet < Actors::GenServer
    def init(log = LOGS.last) = log << Actors.current
  end

  # Children that are started and ended by several actors at the same time: the supervisor's list is right at the end.
  def test_dynamic_children_are_accounted_for
    simulate(300) do |_, random|
      log = []
      LOGS << log
      top = Actors::DynamicSupervisor.start(max_children: 5, max_restarts: 1000)
      mine = Hash.new { |all, key| all[key] = [] }
      clients = Array.new(3) do |client|
        own = Random.new(random.seed * 3 + client)
        Actors.spawn do
          8.times do
            if own.rand(3).positive?
              begin
                mine[client] << Actors::DynamicSupervisor.start_child(top, Quiet, restart: :temporary)
              rescue Actors::Down => e
                raise unless e.reason == :max_children
              end
            elsif (victim = mine[client].sample(random: own))
              if own.rand(2).zero?
                Actors::DynamicSupervisor.terminate_child(top, victim)
                mine[client].delete(victim)
              else
                Actors.exit(victim, :boom)
              end
            end
          end
        end
      end
      clients.map { |each| Actors.monitor(each) }.each { |watch| assert_equal :normal, Actors.receive { |m| m in [:DOWN, ^watch, _, _] }[3] }
      Actors.sleep(1)
      alive = log.select(&:alive?)
      assert_equal alive.sort_by(&:id), Actors::DynamicSupervisor.which_children(top).sort_by(&:id)
      assert_equal alive.size, mine.values.flatten.count(&:alive?)
      assert_operator alive.size, :<=, 5
      top.stop
      assert_empty log.select(&:alive?)
    end
  end
end
