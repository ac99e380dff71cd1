# frozen_string_literal: true

require_relative "../config/config_file"
require_relative "../config/options"
require_relative "directives"
require_relative "outcomes"
require_relative "recorder"
require_relative "source"

module Kino
  # `kino --init --from config/puma.rb`: what becomes of each line of a configuration file of Puma.
  module PumaConfig
    # A translated file: the text of a kino.rb, and the report, line by line.
    class Translation
      # What became of one directive. +code+: lines of kino.rb; +kind+: a key of KINDS; +text+: a sentence, or nil.
      Entry = Struct.new(:line, :source, :kind, :code, :text) do
        def remark = text && "#{kind == :translated ? "note" : KINDS.fetch(kind)}: #{text}"
      end

      KINDS = { translated: "translated", not_needed: "not needed", instead: "do this instead", by_hand: "to be done by hand",
                skipped: "not evaluated", failed: "failed" }.freeze
      # Those that need the reader's attention.
      OPEN = %i[instead by_hand failed].freeze

      def self.of_file(path)
        raise ConfigError, "there is no file #{path} to translate" unless File.exist?(path)
        raise ConfigError, "#{path} is a directory; name Puma's configuration file in it" if File.directory?(path)

        text = File.read(path, encoding: "bom|utf-8")
        raise ConfigError, "#{path} is not a text in UTF-8" unless text.valid_encoding? && !text.include?("\0")

        new(path, text)
      rescue SystemCallError => e
        raise ConfigError, "cannot read #{path}: #{e.message.sub(/ @ .*/, "")}"
      end

      attr_reader :entries, :path

      def initialize(path, text, **limits)
        @path = path
        recording = Recorder.record(path, text, **limits)
        @variables = recording.variables
        @source = Source.new(text)
        @entries = Outcomes.new(path, @source, recording.entries).entries + skipped(recording.entries)
        @entries.sort_by!.with_index { |entry, at| [entry.line || Float::INFINITY, at] }
      rescue SystemStackError
        raise ConfigError, "#{path} is nested too deeply"
      end

      # The text of kino.rb.
      def config
        lines = ["# Translated from #{@path}. `kino --help` describes the options, `kino --check-config` checks this file.", ""]
        @entries.each do |entry|
          lines << "# #{place(entry)}#{": #{entry.source}" unless entry.source.empty?}"
          lines.concat(entry.code)
          lines << "# #{entry.remark}" if entry.text
          lines << ""
        end
        "#{lines.join("\n").rstrip}\n"
      end

      def report
        lines = @entries.flat_map do |entry|
          ["#{place(entry)}#{": #{entry.source}" unless entry.source.empty?}",
           *entry.code.map { |code| "  translated: #{code}" }, *("  #{entry.remark}" if entry.text)]
        end
        [*lines, "", *environment, summary].join("\n")
      end

      private

      def place(entry) = [@path, entry.line].compact.join(":")

      # Directives that were not called.
      def skipped(recorded)
        called = recorded.map(&:line)
        reason = called.include?(nil) ? "the evaluation ended before it" : "its condition is not true here"
        @source.calls(Directives.names).reject { |_, line| called.include?(line) }.map do |_, line|
          Entry.new(line, @source.line(line), :skipped, [], reason)
        end
      end

      def environment
        return [] if @variables.empty?

        # Without their values, some of which may be secret.
        shown = @variables.sort.map { |name, value| value ? "#{name} (set)" : "#{name} (not set)" }
        ["The file reads these variables of the environment: #{shown.join(", ")}.",
         "If production has other ones, set them and translate again."]
      end

      def summary
        counts = @entries.group_by(&:kind).transform_values(&:size)
        open = counts.sum { |kind, count| OPEN.include?(kind) ? count : 0 }
        "#{counts.map { |kind, count| "#{count} #{KINDS.fetch(kind)}" }.join(", ")}." \
          "#{" Read the #{open == 1 ? "one" : open} that #{open == 1 ? "is" : "are"} left to you." if open.positive?}"
      end
    end
  end
end
