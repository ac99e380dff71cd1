# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # A computation in an actor of its own, whose result one actor awaits.
  #
  #   task = Actors::Task.async(path) { |name| File.size(name) }
  #   task.await
  #
  # If the block raises, `await` raises Down with the Crash as reason. If the actor that has started a task fails, the task
  # ends, too.
  class Task
    # The actor.
    class Body < Block
      def initialize(context, block, *args)
        super
        @context = context
      end

      def turn
        Native.take(@context.ref) # the request, which was there before the actor
        run(Native.from(@context.ref))
      end

      private

      def run(from)
        result = Actors.instance_exec(*@args, &@block)
        Shared.named(result, "the value of the task") { finish(from, [:ok, result]) }
      rescue StandardError, NotImplementedError => e
        finish(from, [:exit, Crash.of(e)])
      end

      # The owner hears of the end from the answer, and only from it.
      def finish(from, result)
        from.answer(result)
        @context.unlink(@context.plan.parent)
        :ended
      end
    end

    class << self
      # Starts a task. Options are those of Actors.spawn.
      def async(*args, **options, &block)
        context = Context.current
        call = nil
        ref = context.spawn(Body, [block, *args], link: true, **options) { |created| call = Native.request(created, context.ref, [:run], true) }
        new(context, ref, call)
      end

      # Calls the block with each element in a task, at most `max_concurrency` at the same time, and returns an Enumerator of
      # [:ok, value] and [:exit, reason]: in the order of the elements, or of completion (`ordered: false`). A task that takes
      # longer than `timeout` seconds raises CallTimeout, or is ended and yields [:exit, :timeout] (`on_timeout: :kill_task`).
      def async_stream(elements, max_concurrency: Native.usable_cpus, ordered: true, timeout: 5, on_timeout: :raise, **options, &block)
        raise ArgumentError, "on_timeout: must be :raise or :kill_task, not #{on_timeout.inspect}" unless %i[raise kill_task].include?(on_timeout)
        raise ArgumentError, "max_concurrency: must be at least 1, not #{max_concurrency}" unless max_concurrency >= 1

        start = ->(element) { async(element, **options, &block) }
        Enumerator.new do |results|
          stream = Stream.new(elements, start, most: max_concurrency, ordered: ordered, timeout: timeout, on_timeout: on_timeout)
          stream.each { |result| results << result }
        end
      end
    end

    attr_reader :ref

    # `call` has the result as its answer. See Task.async and Task::Supervisor.async_nolink.
    def initialize(context, ref, call)
      @context = context
      @ref = ref
      @call = call
      @since = context.now
    end

    # The block's value. Raises Down if it has failed, and CallTimeout after `timeout` seconds (nil: never); the task then
    # continues, and can be awaited again.
    def await(timeout: 5)
      case yield_result(timeout)
      in [:ok, value] then value
      in [:exit, reason] then raise Down.new(@ref, reason)
      in nil then raise CallTimeout.new(@ref, "ended", timeout)
      end
    end

    # [:ok, value] or [:exit, reason]; nil if there is no result within `timeout` seconds.
    def yield(timeout: 5)
      yield_result(timeout)
    end

    # Ends the task; returns its result if it has one, else [:exit, reason].
    def shutdown
      return yield_result(0) if done?

      @context.unlink(@ref)
      @context.exit(@ref, :kill)
      yield_result(nil)
    end

    def done?
      !@call.outcome.nil?
    end

    # For Stream: when the task was started.
    attr_reader :since

    private

    def yield_result(timeout)
      case @context.wait(timeout) { @call.outcome || Context::NONE }
      when :answered then @call.value
      when :abandoned
        @context.await_end(@ref, nil) if Native.ending?(@ref) # as in Context#await
        [:exit, @ref.reason]
      end
    end

    # The tasks of `async_stream`.
    class Stream
      # `start` is called with an element, and returns its task.
      def initialize(elements, start, most:, ordered:, timeout:, on_timeout:)
        @elements = elements.each
        @start = start
        @most = most
        @ordered = ordered
        @timeout = timeout
        @on_timeout = on_timeout
        @tasks = [] # in the order of their start
        @context = Context.current
      end

      def each
        start_some
        until @tasks.empty?
          task = next_done
          @tasks.delete(task)
          result = task.yield(timeout: 0) || late(task)
          start_some
          yield result
        end
      ensure
        @tasks.each(&:shutdown)
      end

      private

      def start_some
        while @tasks.size < @most
          element = begin
            @elements.next
          rescue StopIteration
            return
          end
          @tasks << @start.call(element)
        end
      end

      # Waits for the first task that is done or late: of all, or the oldest.
      def next_done
        oldest = @tasks.first
        candidates = @ordered ? [oldest] : @tasks
        left = @timeout && [oldest.since + @timeout - @context.now, 0].max
        done = @context.wait(left) { candidates.find(&:done?) || Context::NONE }
        Context::NONE.equal?(done) ? oldest : done
      end

      def late(task)
        task.shutdown
        raise CallTimeout.new(task.ref, "ended", @timeout) unless @on_timeout == :kill_task

        [:exit, :timeout]
      end
    end

    private_constant :Stream
  end
end
