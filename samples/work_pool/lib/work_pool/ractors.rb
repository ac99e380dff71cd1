# frozen_string_literal: true

module WorkPool
  # Workers that are Ractors. A worker keeps its results until it leaves: what a Ractor returns at its end goes to
  # the caller as it is, without a copy.
  class Ractors
    # `tolerant`: work that a Ractor may not do ends the attempt, so that another backend can do it; else the error
    # is that input's result.
    def initialize(run, job, tolerant:)
      @run = run
      @job = job
      @tolerant = tolerant
    end

    # Does the inputs from `first` on; returns nil, or why it cannot be done.
    def call(first)
      count = @run.inputs.size - first
      workers = [@run.workers, count].min
      feed = Feed.make(first, count, workers)
      ractors = start(feed, workers)
      @run.done while feed.wait
      collect(ractors.map { |ractor| value_of(ractor) }, first)
    ensure
      feed&.stop
    end

    # In a worker. Returns why it cannot work, or nil, its results and its session's state.
    def self.work(feed, inputs, job, tolerant, told)
      feed.join
      results = []
      session = job.session
      while (index = feed.take)
        value = job.run(session, inputs[index], Job::EVERYTHING)
        return unfit(feed, value) if tolerant && isolation?(value)

        results << [index, value]
        feed.done(index) if told
      end
      [nil, results, job.state(session)]
    rescue Exception => e # whatever it was, the caller is told
      unfit(feed, Failure.of(e))
    ensure
      feed.leave
    end

    def self.isolation?(value)
      value.is_a?(Failure) && value.error_class&.start_with?("Ractor::")
    end

    def self.unfit(feed, failure)
      feed.stop
      ["#{failure} (#{failure.backtrace&.first})", [], nil]
    end

    private

    def start(feed, workers)
      experimental = Warning[:experimental]
      Warning[:experimental] = false
      Array.new(workers) do
        ractor = Ractor.new(feed, @run.inputs, @job, @tolerant, @run.tells?) do |*all|
          Thread.current.report_on_exception = false
          Ractors.work(*all)
        end
        feed.await_worker # one by one: see kino::pin_thread
        ractor
      end
    ensure
      Warning[:experimental] = experimental
    end

    # What the Ractor's block returned; nil if something in it ended the whole Ractor.
    def value_of(ractor)
      ractor.respond_to?(:value) ? ractor.value : ractor.take
    rescue Ractor::RemoteError
      nil
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
