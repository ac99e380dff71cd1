# frozen_string_literal: true

require_relative "log"
require_relative "../version"

module Kino
  # The banner that a server prints when it is up, at most six lines.
  module Banner
    # Ruby 4.0.0 to 4.0.5 crash in ordinary code that runs in several Ractors (bugs.ruby-lang.org 22075).
    CRASHING_RUBIES = %w[4.0.0 4.0.1 4.0.2 4.0.3 4.0.4 4.0.5].freeze

    def self.text(server, color: false)
      settings = server.settings
      rows = [["mode", "#{topology(server.mode, settings)}#{", in each of #{server.processes} processes" if server.processes > 1}"],
              ["listening", server.urls.join(", ")],
              ["control", (server.control_urls.join(", ") unless server.control_urls.empty?)],
              ["settings", chosen(settings)],
              ["pid", "#{Process.pid}; stop with Ctrl-C or kill #{Process.pid}, twice to force"]]
      lines = ["#{paint("kino #{VERSION}", 1, color)} on #{RUBY_DESCRIPTION[/\A\S+ \S+/]}#{jit}"]
      rows.each { |name, value| lines << "  #{paint(name.ljust(9), 2, color)} #{value}" if value }
      "#{lines.join("\n")}\n"
    end

    def self.show(server, out)
      Log.write(text(server, color: color?(out)), out)
      out.flush unless Log.native?(out)
    rescue StandardError
      # The output has no reader; the server works nevertheless.
      nil
    end

    def self.color?(out)
      out.tty? && ENV.fetch("NO_COLOR", "").empty? && ENV["TERM"] != "dumb"
    end

    # A sentence about this Ruby, or nil.
    def self.warning(mode)
      return unless mode == :ractor && CRASHING_RUBIES.include?(RUBY_VERSION)

      "Ruby #{RUBY_VERSION} can crash in code that runs in several Ractors at once (`super` with keywords, " \
        "for one); 4.0.6 has the fix, and mode :threaded is not affected"
    end

    def self.topology(mode, settings)
      workers, threads, concurrency = settings[:workers], settings[:threads], settings[:concurrency]
      unit = mode == :ractor ? count(workers, "Ractor") : count(workers, "worker")
      computing = settings[:run_permits] ? ", at most #{concurrency} running" : ""
      "#{mode}: #{unit} of #{count(threads, "Thread")}#{computing}"
    end

    def self.count(number, noun)
      "#{number} #{noun}#{"s" unless number == 1}"
    end

    def self.chosen(settings)
      chosen = settings.chosen
      return if chosen.empty?

      chosen.map { |name, value, source| "#{name} #{Options.fetch(name).show(value)} (#{source})" }.join(", ")
    end

    def self.jit
      return " with YJIT" if defined?(RubyVM::YJIT) && RubyVM::YJIT.enabled?

      " with ZJIT" if defined?(RubyVM::ZJIT) && RubyVM::ZJIT.enabled?
    end

    def self.paint(text, code, color)
      color ? "\e[#{code}m#{text}\e[0m" : text
    end
  end
end
