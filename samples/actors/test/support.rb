# frozen_string_literal: true

require "minitest/autorun"
require "timeout"
require "actors"

Warning[:experimental] = false
Actors.report_crashes = false

# Common to the tests. A test with `each_isolation` runs in every home that this Ruby has.
class ActorsTest < Minitest::Test
  ISOLATIONS = Actors::Runtime::RACTORS ? %i[thread own shared] : %i[thread]

  def self.each_isolation(name, &body)
    ISOLATIONS.each do |isolation|
      define_method(:"test_#{name}_#{isolation}") do
        @isolation = isolation
        instance_exec(&body)
      end
    end
  end

  def setup
    case ENV.fetch("KINO_TEST_GC", "none")
    when "stress" then GC.stress = 1 # a minor collection at each allocation
    when "compact"
      skip "this Ruby cannot compact" unless GC.respond_to?(:auto_compact=)
      GC.auto_compact = true
    end
  end

  def teardown
    GC.stress = false
    GC.auto_compact = false if GC.respond_to?(:auto_compact=)
  end

  # The number of repetitions: `many`, or few if each allocation is a collection.
  def times(many) = GC.stress ? [many / 10, 3].max : many

  # Each test has a mailbox of its own.
  def run
    result = nil
    Thread.new { result = super }.join
    result
  end

  def spawn(*args, **options, &block) = Actors.spawn(*args, isolation: @isolation, **options, &block)
  def spawn_monitor(*args, **options, &block) = Actors.spawn_monitor(*args, isolation: @isolation, **options, &block)
  def spawn_link(*args, **options, &block) = Actors.spawn_link(*args, isolation: @isolation, **options, &block)

  # The next message; fails the test if none arrives.
  def receive(&match)
    Actors.receive(timeout: 30, &match) || flunk("no message")
  end

  def await
    Thread.pass until yield
  end

  # The number of seeds: SEEDS of the environment, or `few`.
  def seeds(few)
    return [Integer(ENV["SEED"])] if ENV["SEED"]

    0...Integer(ENV.fetch("SEEDS", few))
  end

  # Runs the block as an actor of a simulation for each seed; a failure names the seed.
  def simulate(few)
    seeds(few).each do |seed|
      Actors::Simulation.run(seed: seed) { |simulation| yield simulation, Random.new(seed) }
    rescue Minitest::Assertion, StandardError => e
      raise e.class, "#{e.message} (SEED=#{seed})", e.backtrace
    end
  end
end
