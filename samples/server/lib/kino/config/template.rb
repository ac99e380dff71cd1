# frozen_string_literal: true

require_relative "options"

module Kino
  # The configuration file that `kino --init` writes: every option, commented out, with its default or an example.
  module Template
    WIDTH = 96

    def self.text
      lines = ["# Configuration of kino, the Rack server. `kino --help` describes the options; flags and KINO_* variables",
               "# override this file. `kino --check-config` checks it."]
      Options.by_group.each do |title, options|
        lines << "" << "# --- #{title} ---"
        options.each { |option| lines.concat(["", *comment(option), "# #{option.directive}"]) }
      end
      "#{lines.join("\n")}\n"
    end

    # What the option means, its range and its default.
    def self.comment(option)
      meaning = "#{option.help[0].upcase}#{option.help[1..]}.".scan(/\S.{0,#{WIDTH - 2}}\S(?=\s|\z)|\S+/)
      [*meaning, "(#{option.facts.join("; ")})"].map { |line| "# #{line}" }
    end
    private_class_method :comment
  end
end
