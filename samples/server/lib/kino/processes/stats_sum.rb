# frozen_string_literal: true

module Kino
  module Processes
    # Adds up the /stats of several processes, as parsed JSON. Counts stay when their process ends.
    class StatsSum
      # Numbers of the present moment; other numbers are counts.
      OF_NOW = %w[queued overflow in_flight connections websockets workers alive quarantined].freeze
      # The same in every process.
      SAME = %w[mode threads lanes batch].freeze

      # +ended+: the sums of processes that have ended.
      def initialize(ended = {})
        @last = {}
        @ended = ended
      end

      attr_reader :ended

      def keys = @last.keys

      def update(key, stats)
        @last[key] = stats
      end

      def gone(key)
        stats = @last.delete(key) or return
        @ended = add(@ended, counts(stats))
      end

      # +fresh+: the keys that have told now; of the others, the counts are in the sum.
      def sum(fresh)
        now = @last.map { |key, stats| fresh.include?(key) ? stats.reject { |_, value| value.is_a?(Array) } : counts(stats) }
        now.reduce(@ended) { |all, stats| add(all, stats) }
      end

      # The workers of all, each with the pid of its process.
      def workers(fresh)
        fresh.flat_map { |key| @last.fetch(key).fetch("worker_status", []).map { |worker| { "pid" => key }.merge(worker) } }
      end

      # One entry for each process that has told.
      def each_process(fresh)
        fresh.map { |key| { "pid" => key }.merge(@last.fetch(key).slice("served", "in_flight", "queued", "connections", "alive")) }
      end

      private

      def counts(stats)
        stats.each_with_object({}) do |(name, value), all|
          next if OF_NOW.include?(name) || SAME.include?(name)

          all[name] = counts(value) if value.is_a?(Hash)
          all[name] = value if value.is_a?(Numeric)
        end
      end

      def add(one, other)
        one.merge(other) do |name, left, right|
          if SAME.include?(name) || left.nil? then left
          elsif left.is_a?(Hash) && right.is_a?(Hash) then add(left, right)
          elsif left.is_a?(Numeric) && right.is_a?(Numeric) then left + right
          else left
          end
        end
      end
    end
  end
end
