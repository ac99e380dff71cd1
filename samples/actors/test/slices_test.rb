# frozen_string_literal: true

require_relative "support"

# Shared actors that have always something to do let the others of their Ractor run.
class SlicesTest < ActorsTest
  class Echo < Actors::GenServer
    def handle_call(request, _from) = [:reply, request]
  end

  # Always has a message from itself. Each takes so long that 100 of them would take seconds.
  class Busy < Actors::GenServer
    def init(over) = (@over = over) && cast_to_itself
    def handle_cast(_) = @over[:over] ? nil : work && cast_to_itself
    def work = 100_000.times { 1 }
    def cast_to_itself = Actors.current.cast(:again)
  end

  # On every worker, so that there is none without them.
  def beside(busy)
    skip "this Ruby has no Ractors for actors" unless Actors::Runtime::RACTORS
    over = Kino::Map.new
    workers = Actors.class_eval("Native", __FILE__, __LINE__).usable_cpus
    watches = Array.new(2 * workers) { Actors.monitor(busy.call(over)) }
    echoes = Array.new(2 * workers) { Echo.start(timeout: 60) }
    3.times { |number| echoes.each { |echo| assert_equal number, echo.call(number, timeout: 60) } }
  ensure
    over[:over] = true if over
    echoes&.each(&:stop)
    watches&.each { |watch| Actors.demonitor(watch) }
  end

  def test_actors_that_compute_and_pass
    beside(->(over) { Actors.spawn(over) { |flag| Actors.pass until flag[:over] } })
  end

  def test_actors_that_always_have_a_message
    beside(->(over) { Actors.spawn(over) { |flag| current << receive until flag[:over] }.tap { |actor| actor << 1 } })
  end

  def test_actors_that_always_send
    beside(->(over) { Actors.spawn(over, Actors.spawn { 1 }) { |flag, ended| ended << 1 until flag[:over] } })
  end

  def test_servers_with_slow_messages
    beside(->(over) { Busy.start(over) })
  end

  def test_an_actor_that_runs_for_long_while_others_wait_is_told_to_move
    reports = capture_io do
      Actors::Simulation.run do |simulation|
        simulation.entries[:crash_reports] = nil
        compute = ->(seconds) { simulation.instance_variable_set(:@now, simulation.now + seconds) }
        waiting = Actors.spawn { loop { Actors.receive } }
        [0.9, 1.5, 1.6].each { |seconds| Actors.spawn(label: "long") { waiting << 1; compute.(seconds) } && Actors.sleep(10) }
        Actors.spawn(label: "alone") { compute.(5) }
        Actors.sleep(10)
      end
    end.last
    assert_match(/\Aactors: #<Actor \d+ long> has run for 1.5 s while other actors of its Ractor waited: start it with isolation: :own.*\n\z/, reports)
  end
end
