# frozen_string_literal: true

module Kino
  module Processes
    # Adds up the /metrics of several processes: the texts for Prometheus, of one format. What has been counted stays counted when
    # its process ends, because a monitoring system takes a lower count for a restart.
    class MetricsSum
      LARGEST = %w[kino_info kino_ready kino_worker_longest_request_seconds].freeze
      SMALLEST = %w[kino_start_time_seconds kino_ruby_answered].freeze
      # Types whose samples only grow.
      GROWING = %w[counter histogram].freeze

      # One metric: its lines of explanation, its type, and its samples, by name and labels.
      Family = Struct.new(:lines, :type, :samples) do
        def name = lines.first[/\A# \S+ (\S+)/, 1]

        def growing? = GROWING.include?(type)
      end

      # The families of a text, by name.
      def self.parse(text)
        families = {}
        text.each_line(chomp: true) do |line|
          case line
          when /\A# (?:HELP|TYPE|UNIT) (\S+) (.*)/
            family = (families[$1] ||= Family.new([], nil, {}))
            family.lines << line
            family.type = $2 if line.start_with?("# TYPE")
          when /\A([^#].*) (\S+)\z/ then families.values.last&.samples&.store($1, number($2))
          end
        end
        families
      end

      def self.number(text) = Integer(text, 10, exception: false) || text.to_f

      # +ended+: the counts of processes that have ended.
      def initialize(ended = {})
        @last = {}
        @ended = Hash.new(0).merge!(ended)
      end

      attr_reader :ended

      def keys = @last.keys

      # What +key+ has told, a text.
      def update(key, text)
        @last[key] = MetricsSum.parse(text)
      end

      # The process has ended: its counts stay.
      def gone(key)
        families = @last.delete(key) or return
        add_counts(@ended, families)
      end

      # The text of those that have told now, +fresh+; the counts of all others are in it. +more+: further lines.
      def text(fresh, more, open_metrics:)
        rest = @last.each_with_object(@ended.dup) { |(key, families), counts| add_counts(counts, families) unless fresh.include?(key) }
        all = {}
        fresh.each { |key| @last.fetch(key).each { |name, family| all[name] = sum(all[name], family) } }
        lines = all.values.flat_map { |family| [*family.lines, *family.samples.map { |name, value| "#{name} #{family.growing? ? value + rest[name] : value}" }] }
        [*lines, *more, *("# EOF" if open_metrics)].map { |line| "#{line}\n" }.join
      end

      private

      def add_counts(counts, families)
        families.each_value { |family| family.samples.each { |name, value| counts[name] += value } if family.growing? }
      end

      def sum(known, family)
        return Family.new(family.lines, family.type, family.samples.dup) unless known

        known.samples.merge!(family.samples) { |_, one, other| combined(family, one, other) }
        known
      end

      def combined(family, one, other)
        return [one, other].max if LARGEST.include?(family.name)

        SMALLEST.include?(family.name) ? [one, other].min : one + other
      end
    end
  end
end
