# frozen_string_literal: true

module WorkPool
  # One map: the caller's head start, then the first backend that can do the rest.
  class Run
    BACKENDS = %i[ractor fork sequential].freeze

    def initialize(job, inputs, workers, progress, copy_error)
      @job = job
      @inputs = inputs
      @workers = workers
      @progress = progress
      @copy_error = copy_error
      @values = Array.new(inputs.size)
      @states = []
      @reasons = []
      @done = 0
    end

    def with(backend, head_start)
      candidates = backend ? [backend] : BACKENDS
      candidates = candidates.drop_while { |name| unfit?(name, backend) }
      if candidates.first == :sequential
        alone
      elsif alone(head_start)
        @reasons << "done within the head start" unless @inputs.empty?
      else
        @backend = candidates.find { |name| done_by?(name, backend) }
      end
      self
    end

    def result(merge)
      state = merge ? @states.compact.reduce(&merge) : @states.compact
      Result.new(@values, state, @backend || :sequential, @reasons.empty? ? nil : @reasons.join("; "))
    end

    attr_reader :inputs, :workers

    # For the backends: records the result for an input.
    def store(index, value) = @values[index] = value

    def store_state(state) = @states << state

    # Whether each input is reported. If not, the caller sleeps until all are done.
    def reports? = !@progress.nil?

    # For the backends: reports that another input is done. Runs in the caller's thread.
    def done
      @done += 1
      @progress&.call(@done, @inputs.size)
    end

    private

    # Works in the caller's thread, to the end or, with `seconds`, until workers are worthwhile. Returns
    # whether it reached the end.
    def alone(seconds = nil)
      began = last = now
      fastest = Float::INFINITY
      session = nil
      until (finished = @done == @inputs.size) || (seconds && worth_workers?(last - began, seconds, fastest))
        session ||= @job.session
        store(@done, @job.run(session, @inputs[@done], Job::RAISED_BY_BLOCKS))
        done
        fastest = [fastest, now - last].min
        last = now
      end
      store_state(@job.state(session)) if session
      finished
    end

    # The first inputs load and compile much of the program, so the estimate is based on the fastest input.
    def worth_workers?(elapsed, seconds, fastest)
      return seconds.zero? if @done.zero?

      left = @inputs.size - @done
      left > 1 && (elapsed >= LONGEST_HEAD_START || (elapsed >= seconds && left * fastest >= WORTH_WORKERS))
    end

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

    # Whether the backend cannot be used; raises if it was requested.
    def unfit?(name, asked)
      reason =
        case name
        when :ractor then @copy_error ? audit(@copy_error) : make_shareable
        when :fork then Forks.obstacle
        end
      give_up(name, reason, asked) if reason
      !reason.nil?
    end

    def make_shareable
      @shareable = @job.shareable
      nil
    rescue StandardError => e
      audit(e)
    end

    def audit(error)
      findings = WorkPool.audit(@job.block, configuration: @job.configuration, inputs: @inputs)
      findings.empty? ? "#{error.class}: #{error.message}" : findings.join("\n")
    end

    def give_up(name, reason, asked)
      raise Unfit, "WorkPool cannot use #{name}:\n#{reason}" if asked

      @reasons << "#{name}: #{reason}"
      false
    end

    # Does the rest; returns false if this backend turns out not to be able to.
    def done_by?(name, asked)
      case name
      when :ractor
        reason = Ractors.new(self, @shareable, tolerant: !asked).call(before = @done)
        return true unless reason

        @done = before
        give_up(name, reason, asked)
      when :fork
        return false if unfit?(name, asked)

        Forks.new(self, @job).call(@done)
        true
      when :sequential then alone
      end
    end
  end
end
