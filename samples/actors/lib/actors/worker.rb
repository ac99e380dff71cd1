# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # Runs many actors in one thread: those that were woken, in turn. An actor that waits in the middle of its turn keeps the
  # fiber that it runs in; an idle one needs none.
  #
  # An actor gives way after a slice of time, when it next takes a message or does something with another actor. Ruby cannot
  # interrupt one that computes; the worker tells of it afterwards.
  class Worker
    SPARE_FIBERS = 32
    SLICE = 0.005 # seconds
    STEPS = 16 # that an actor does between two looks at the clock
    LONG = 1.0 # seconds without giving way, of which the program is told if others have waited

    def initialize(queue, clock)
      @queue = queue
      @clock = clock
      @actors = {}
      @fibers = []
      @timetable = Timetable.new
      @began = 0.0 # when the present actor was last resumed
      @steps = 0
      @told = [] # labels of actors that have run for long
    end

    # Runs actors until the thread is ended.
    def run
      loop { step }
    ensure
      @actors.each_value { |context| context.finish(:killed) }
    end

    # Waits for an actor that has something to do, and runs it.
    def step
      due = @timetable.next_time
      woken = @queue.take(due && [due - @clock.now, 0].max)
      run_actor(find(woken)) if woken
      return unless due

      now = @clock.now
      while (context = @timetable.take_due(now))
        context.alarm = nil
        run_actor(context)
      end
    end

    # Lets other actors run if the slice of this one is over: an actor calls it at each step.
    def interleave(context)
      return if ((@steps += 1) % STEPS).nonzero? || !slice_over?

      Native.wake(context.ref)
      suspend(context, nil)
    end

    def slice_over?
      @clock.now - @began > SLICE
    end

    # A Context waits.
    def suspend(context, deadline)
      context.fiber = Fiber.current
      Fiber.yield(deadline)
      context.fiber = nil
    end

    private

    # `woken` is the plan of a new actor, or the id of one that runs here; nil if that has ended.
    def find(woken)
      return @actors[woken] if woken.is_a?(Integer)

      @actors[woken.ref.id] = Context.new(woken, self)
    end

    def run_actor(context)
      return if context.nil? || context.ended?

      @timetable.remove(context.alarm) if context.alarm
      context.alarm = nil
      fiber = context.fiber || @fibers.pop || Fiber.new { |first| run_turns(first) }
      @began = @clock.now
      begin
        deadline = fiber.resume(context)
      rescue FiberError => e # an actor's own errors do not come here
        return without_stack(context, e)
      end
      tell_of_long_turn(context) if @clock.now - @began > LONG
      @fibers << fiber if !context.fiber && @fibers.size < SPARE_FIBERS
      if context.ended?
        @actors.delete(context.ref.id)
      elsif deadline
        context.alarm = @timetable.add(deadline, context)
      end
    end

    # On standard error once for all actors of this worker with the same label.
    def tell_of_long_turn(context)
      label = context.ref.label
      return if @queue.empty?

      seconds = @clock.now - @began
      Telemetry.emit(context.runtime, :long_turn, context.ref, seconds: seconds)
      return if @told.include?(label) || @told.size > 100

      @told << label
      Report.long_turn(context, seconds)
    end

    # The system has no memory for another stack: that ends one actor, not all of this worker.
    def without_stack(context, error)
      @actors.delete(context.ref.id)
      context.fail(FiberError.new("#{error.message}: too many actors wait in the middle of a block or method. A GenServer that is idle " \
                                  "needs no stack; on Linux, the setting vm.max_map_count limits their number"))
    end

    # The life of a fiber.
    def run_turns(context)
      loop { context = Fiber.yield(context.turn) }
    end
  end

  class Context
    # For the worker: the fiber in which the actor waits, and the entry of its deadline.
    attr_accessor :fiber, :alarm
  end

  # The other way to run an actor: in a thread of its own.
  module Parking
    module_function

    def run(plan)
      context = Context.new(plan, self)
      Thread.handle_interrupt(Object => :immediate) do
        loop do
          deadline = context.turn
          break if context.ended?

          suspend(context, deadline)
        end
      end
    ensure
      context&.finish(:killed) # does nothing if it has ended
    end

    def interleave(_context); end
    def slice_over? = false

    def suspend(context, deadline)
      Native.park(context.ref, deadline && [deadline - context.now, 0].max)
    end
  end
end
