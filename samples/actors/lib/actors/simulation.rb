# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # Runs actors in one thread, in an order that a seed determines, by a clock that jumps to the next event. The actors' code and
  # the runtime's are those of real runs; only the choice of the next actor and the clock differ. A test with a thousand seeds
  # sees a thousand orders of events, takes no real time for waits, and repeats a failure exactly.
  #
  #   Actors::Simulation.run(seed: 4711) do
  #     counter = Counter.start(0)
  #     Actors.sleep(3600)       # takes no time
  #     counter.call(:value)
  #   end
  #
  # The block is an actor, too; `run` returns its value, or raises what it raises. All isolations are alike in a simulation, and
  # blocks may use any variables. Messages are copied as always.
  class Simulation < Worker
    # Every actor waits, and no time-out will end it.
    class Stuck < Error; end

    # The actor of the block of `run`.
    class Main < Block
      def initialize(_context, simulation, block)
        @simulation = simulation
        @block = block
      end

      def turn
        @simulation.result = @block.call(@simulation)
        :ended
      rescue Exception => e # `run` raises it
        @simulation.error = e
        :ended
      end

      def obey(_request); end
    end

    def self.run(seed: Random.new_seed % 1_000_000, &block)
      new(seed).run(block)
    end

    attr_reader :now, :entries, :seed
    attr_writer :result, :error

    def initialize(seed)
      @seed = seed
      @random = Random.new(seed)
      @now = 0.0
      @entries = Kino::Map.new
      @entries[:crash_reports] = REAL.entries[:crash_reports]
      @plans = {}
      @ready = []
      super(RunQueue.create, self)
    end

    def run(block)
      main = spawn(Main, [self, block], isolation: nil, capacity: 1 << 31, label: "the simulation") { nil }
      step while main.alive?
      raise @error if @error

      @result
    ensure
      @plans.each_value { |plan| Native.finish(plan.ref, :killed) }
      @actors.each_value { |context| context.finish(:killed) }
    end

    # As Runtime#spawn.
    def spawn(behaviour, args, capacity:, label:, parent: nil, name: nil, **)
      ref = Native.create(label || behaviour.default_label(args), capacity, @queue)
      yield ref
      @plans[ref.id] = Plan.new(ref, self, behaviour, args, parent, name).freeze
      Native.wake(ref)
      ref
    rescue Exception => e # as in Runtime
      Native.finish(ref, Crash.of(e)) if ref
      raise
    end

    def kill_thread(_id); end

    def step
      while (woken = @queue.take(0))
        @ready << woken
      end
      advance if @ready.empty?
      chosen = @ready.delete_at(@random.rand(@ready.size))
      run_actor(chosen.is_a?(Context) ? chosen : find(chosen))
    end

    def slice_over? = false

    # Another actor may run here.
    def interleave(context)
      return if @random.rand(2).zero?

      Native.wake(context.ref)
      suspend(context, nil)
    end

    private

    def find(id)
      plan = @plans.delete(id)
      return @actors[id] unless plan

      @actors[id] = Context.new(plan, self)
    end

    # To the time of the next event.
    def advance
      due = @timetable.next_time
      unless due
        waiting = @actors.values.reject(&:ended?).map { |context| context.ref.inspect }
        raise Stuck, "every actor waits, and nothing will wake them: #{waiting.join(", ")} (seed #{@seed})"
      end

      @now = due
      while (context = @timetable.take_due(@now))
        context.alarm = nil
        @ready << context
      end
    end
  end
end
