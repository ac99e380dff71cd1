# frozen_string_literal: true

require_relative "../version"

module Kino
  module Check
    # What Check.report found. As text, the findings that freezing does not mend come first, and those that it mends are
    # grouped.
    class Report
      # The version of #to_h, which docs/ractors.md documents.
      SCHEMA = 1
      # In the text, so many findings of a kind are shown, and so many paths of unfrozen objects.
      FINDINGS_SHOWN = 5
      PATHS_SHOWN = 5
      # The kinds whose values one line of Ruby freezes, and the expressions in it: anonymous classes have none.
      VALUES = %i[constant class_level_variable].freeze
      EXPRESSION = /\A[A-Z]\w*(?:::[A-Z]\w*)*(?:\.instance_variable_get\(:@\w+\))?\z/.freeze

      # RactorAudit::Findings; what freezing does not mend comes first.
      attr_reader :findings
      # A WarmUp, or nil if none was requested.
      attr_reader :warm_up

      def initialize(audit, shareable:, warm_up: nil)
        @findings = audit.findings.freeze
        @omitted = audit.omitted
        @complete = audit.complete?
        @shareable = shareable
        @warm_up = warm_up
        @by_freezing, @by_hand = findings.partition(&:freezing?)
      end

      # Whether the app can run in Ractors, as far as this check can tell.
      def ractors?
        shareable? && findings.empty? && (warm_up.nil? || warm_up.ok?)
      end

      # Whether Ruby shares the app with Ractors.
      def shareable?
        @shareable
      end

      # The most important reason in one line, or nil.
      def summary
        first, *more = findings
        return unless first

        "#{first}#{" (and #{count(more.size + @omitted, "more reason")})" unless more.empty?}"
      end

      def to_h
        { "schema" => SCHEMA, "kino" => VERSION, "ruby" => RUBY_VERSION, "ractors" => ractors?, "shareable" => shareable?,
          "complete" => @complete, "omitted" => @omitted, "findings" => findings.map(&:to_h), "warm_up" => warm_up&.to_h }
      end

      def to_json(*options)
        require "json"
        to_h.to_json(*options)
      end

      def to_s
        [verdict, *reasons, warm_up].compact.join("\n")
      end

      # The findings with their fixes, without the verdict.
      def reasons
        lines = []
        section(lines, "Freezing does not mend:", @by_hand.group_by(&:kind).values)
        section(lines, "Freezing mends:",
                @by_freezing.group_by { |finding| VALUES.include?(finding.kind) || [finding.kind, finding.freezing] }.values)
        lines << "#{count(@omitted, "more finding")} left out." if @omitted.positive?
        lines << "The app has too many objects to look at all of them." unless @complete
        lines
      end

      private

      def verdict
        return "The app can run in Ractors." if ractors?
        return "The app cannot run in Ractors:" unless shareable?
        return "The app can be shared with Ractors, but it failed in one:" if findings.empty?

        "The app can be shared with Ractors, but its code uses what only the main Ractor can use (mode :ractor serves it " \
          "if no request reaches that code):"
      end

      def section(lines, title, groups)
        return if groups.empty?

        lines << title
        groups.each do |group|
          lines.concat(group.first.kind == :unfrozen ? [unfrozen(group)] : listed(group))
          lines << "    #{fix(group)}"
        end
      end

      # A line of Ruby that mends all constants and class-level variables, also those of gems.
      def fix(group)
        first = group.first
        names = group.map(&:freezing)
        return first.fix unless VALUES.include?(first.kind) && names.uniq.size > 1 && names.all?

        "If nothing changes the values later, call this when the app is loaded: " \
          "[#{names.grep(EXPRESSION).uniq.join(", ")}].each { |value| Ractor.make_shareable(value) }"
      end

      def listed(group)
        lines = group.first(FINDINGS_SHOWN).map { |finding| "  * #{finding}" }
        more = group.size - FINDINGS_SHOWN
        more.positive? ? lines << "  * and #{count(more, "more finding")} of this kind" : lines
      end

      # Each of the objects may be unfrozen for its own reason, but one call mends all.
      def unfrozen(group)
        return "  * #{group.first}" if group.size == 1

        more = group.size - PATHS_SHOWN
        paths = group.first(PATHS_SHOWN).map(&:subject)
        paths << "#{more} more" if more.positive?
        "  * #{group.size} objects are not frozen: #{paths.join(", ")}"
      end

      def count(number, noun)
        "#{number} #{noun}#{"s" unless number == 1}"
      end
    end
  end
end
