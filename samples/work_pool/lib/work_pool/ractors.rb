# frozen_string_literal: true

module WorkPool
  # Workers in Ractors. A worker keeps its results until it leaves, because a Ractor's return value is passed to the
  # caller without a copy.
  class Ractors
    # Whether fork locks the VM, as it does since Ractors have ports. Otherwise a child that is forked while a Ractor
    # holds that lock, even at its very end, waits forever, because the Ractor's thread does not exist in the child.
    FORK_LOCKS = Ractor.const_defined?(:Port)

    # `tolerant`: an operation that Ractors do not allow ends the attempt, so another backend can be used; otherwise the
    # error is the result for that input.
    def initialize(run, job, tolerant:)
      @run = run
      @job = job
      @tolerant = tolerant
    end

    # Processes the inputs from `first` on; returns nil, or the reason why it cannot.
    def call(first)
      count = @run.inputs.size - first
      workers = [@run.workers, count].min
      feed = Feed.make(first, count, workers)
      ractors = returned = nil
      Marking.young_only do |limit|
        ractors = start(feed, workers, limit)
        @run.done while feed.wait
        returned = ractors.map { |ractor| Ractors.value_of(ractor) }
      end
      Ractors.settled? { ractors.all? { |ractor| ractor.inspect.end_with?(" terminated>") } } unless FORK_LOCKS
      collect(returned, first)
    ensure
      feed&.stop
    end

    # Runs in a worker. Returns the reason why it cannot work, or nil; its results; and its session's state.
    def self.work(feed, inputs, job, tolerant, reported, limit)
      feed.join
      results = []
      session = job.session
      while (index = feed.take)
        value = job.run(session, inputs[index], Job::EVERYTHING)
        return unfit(feed, value) if tolerant && isolation?(value)

        results << [index, value]
        Marking.keep_to(limit)
        feed.done(index) if reported
      end
      [nil, results, job.state(session)]
    rescue Exception => e # any exception is reported to the caller
      unfit(feed, Failure.of(e))
    ensure
      feed.leave
    end

    # Waits up to a second for other Ractors to end; returns whether none is left, so this process can fork.
    def self.gone?
      FORK_LOCKS || settled?(1) { Ractor.count == 1 }
    end

    # Waits at most `patience` seconds until the block reports that Ractors have ended, then until they have released
    # the VM lock. The return of their values does not guarantee that, and Ruby has no other notification.
    def self.settled?(patience = Float::INFINITY)
      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + patience
      until yield
        return false if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

        sleep(0.0001)
      end
      "settled".to_sym # takes the lock
      true
    end

    # Suppresses the warning that Ractors are experimental.
    def self.silently
      experimental = Warning[:experimental]
      Warning[:experimental] = false
      yield
    ensure
      Warning[:experimental] = experimental
    end

    # The return value of the Ractor's block; nil if the block ended the whole Ractor.
    def self.value_of(ractor)
      ractor.respond_to?(:value) ? ractor.value : ractor.take
    rescue Ractor::RemoteError
      nil
    end

    def self.isolation?(value)
      value.is_a?(Failure) && value.error_class&.start_with?("Ractor::")
    end

    def self.unfit(feed, failure)
      feed.stop
      ["#{failure} (#{failure.backtrace&.first})", [], nil]
    end

    private

    def start(feed, workers, limit)
      Ractors.silently do
        Array.new(workers) do
          ractor = Ractor.new(feed, @run.inputs, @job, @tolerant, @run.reports?, limit) do |*all|
            Thread.current.report_on_exception = false
            Ractors.work(*all)
          end
          feed.await_worker # one at a time: see kino::pin_thread
          ractor
        end
      end
    end

    def collect(returned, first)
      reason = returned.compact.filter_map(&:first).first
      return reason if reason

      (first...@run.inputs.size).each do |index|
        @run.store(index, Failure.new("WorkPool::WorkerLost", "its worker ended before it did", []))
      end
      returned.compact.each do |_, results, state|
        results.each { |index, value| @run.store(index, value) }
        @run.store_state(state)
      end
      nil
    end
  end
end
