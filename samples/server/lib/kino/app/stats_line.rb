# frozen_string_literal: true

module Kino
  # The statistics of a server as one line of the log.
  module StatsLine
    # "queued=0 ... queue_time.count=3 ... busy=1 longest_ms=250": Server#stats, with the number of workers that have a request
    # and the age of the oldest request instead of the status of each worker.
    def self.of(stats)
      busy = stats[:worker_status].select { |worker| worker[:in_flight].positive? }
      all = stats.except(:worker_status).merge(busy: busy.size, longest_ms: busy.map { |worker| worker[:busy_ms] }.max || 0)
      flat(all).map { |name, value| "#{name}=#{value}" }.join(" ")
    end

    # Pairs of a name and a value. The name of a nested value begins with those that contain it, as in "queue_time.count".
    def self.flat(stats, prefix = "")
      stats.flat_map { |name, value| value.is_a?(Hash) ? flat(value, "#{prefix}#{name}.") : [["#{prefix}#{name}", value]] }
    end
  end
end
