# frozen_string_literal: true

require_relative "options"
require_relative "../workers/hooks"

module Kino
  # The configuration file that `kino --init` writes: every option, commented out, with its default or an example, and every hook.
  module Template
    WIDTH = 96

    def self.text
      lines = ["# Configuration of kino, the Rack server. `kino --help` describes the options; flags and KINO_* variables",
               "# override this file. `kino --check-config` checks it."]
      Options.by_group.each do |title, options|
        lines << "" << "# --- #{title} ---"
        options.each { |option| lines.concat(["", *comment(option), "# #{option.directive}"]) }
      end
      lines << "" << "# --- Hooks: what is called when something has happened ---"
      Hooks::ALL.each { |name, (parameters, time)| lines.concat(["", *wrapped("Runs #{time}."), "# #{hook(name, parameters)}"]) }
      "#{lines.join("\n")}\n"
    end

    def self.hook(name, parameters)
      parameters.empty? ? "#{name} { }" : "#{name} { |#{parameters}| }"
    end

    def self.wrapped(sentence)
      sentence.scan(/\S.{0,#{WIDTH - 2}}\S(?=\s|\z)|\S+/).map { |line| "# #{line}" }
    end

    # What the option means, its range and its default.
    def self.comment(option)
      [*wrapped("#{option.help[0].upcase}#{option.help[1..]}."), "# (#{option.facts.join("; ")})"]
    end
    private_class_method :comment, :hook, :wrapped
  end
end
