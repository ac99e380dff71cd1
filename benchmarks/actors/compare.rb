# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# kino-actors beside ractor_shepherd, the actors of concurrent-ruby-edge, and Elixir: the same echo server. Prints the table of
# docs/benchmarks.md.
#
#   gem install --install-dir build/peers-actors ractor_shepherd concurrent-ruby-edge
#   PEERS=build/peers-actors ruby --yjit -I samples/actors/lib -I samples/collections/lib -I DIRECTORIES_OF_BOTH_EXTENSIONS benchmarks/actors/compare.rb
#
# What is not installed is skipped. The libraries take turns, ROUNDS (5) times; a cell is the median. SECONDS (2) is the time of each
# measurement of calls. Elixir is `elixir` in PATH.

require "open3"
require "rbconfig"
require_relative "peers"

module Compare
  ROUNDS = Integer(ENV.fetch("ROUNDS", 5))
  SECONDS = Float(ENV.fetch("SECONDS", 2))
  ROWS = { "call" => "calls, one caller", "calls" => "calls, 64 callers", "casts" => "casts, one sender",
           "starts" => "starts of a server, one after the other" }.freeze
  OWN = "kino-actors"

  module_function

  def yjit? = defined?(RubyVM::YJIT) && RubyVM::YJIT.enabled?

  def commands
    options = [*("--yjit" if yjit?), *$LOAD_PATH.map { |path| "-I#{path}" }]
    ruby = Peers::LIBRARIES.keys.to_h { |name| [name, [RbConfig.ruby, "-W0", *options, File.join(__dir__, "peers.rb"), name, SECONDS.to_s]] }
    ruby.merge("Elixir" => ["elixir", File.join(__dir__, "echo.exs"), SECONDS.to_s])
  end

  # {"call" => rate, ...}, or a sentence that says why there is none.
  def measure(name, command)
    environment = { "GEM_PATH" => [ENV["PEERS"] && File.expand_path(ENV["PEERS"]), *Gem.path].compact.join(":") }
    output, errors, status = Open3.capture3(environment, "timeout", "-s", "KILL", (SECONDS * 4 + 60).ceil.to_s, *command)
    rates = output.scan(/^(\w+): (\d+)$/).to_h { |row, rate| [row, Integer(rate)] }
    return rates if status.success? && ROWS.keys.all? { |row| rates.key?(row) }
    return "#{name} is skipped: it is not installed (#{errors.lines.first.strip})." if errors.start_with?("missing: ", "timeout: failed to run")

    "#{name} is skipped: it has failed after #{rates.keys.last || "nothing"} (#{status}; #{errors.lines.first&.strip})."
  end

  # Returns the rates of each library, and the sentences on those without.
  def run
    results = Hash.new { |all, name| all[name] = [] }
    skipped = {}
    ROUNDS.times do |round|
      commands.to_a.rotate(round).each do |name, command|
        next if skipped[name]

        measured = measure(name, command)
        measured.is_a?(String) ? skipped[name] = measured : results[name] << measured
      end
    end
    [results.except(*skipped.keys).transform_values { |rounds| medians(rounds) }, skipped.values]
  end

  def medians(rounds)
    ROWS.keys.to_h { |row| [row, rounds.map { |each| each[row] }.sort[rounds.size / 2]] }
  end

  def number(rate) = rate.to_s.gsub(/(\d)(?=(\d{3})+$)/, '\1,')

  # With the ratio of kino's rate to it.
  def cell(rates, own, row)
    return number(rates[row]) if rates.equal?(own) || own.nil?

    "#{number(rates[row])} (#{format("%.2g", own[row].fdiv(rates[row]))} ×)"
  end

  def table(results)
    names = commands.keys & results.keys
    own = results[OWN]
    puts "| per second | #{names.join(" | ")} |", "| --- |#{" --- |" * names.size}"
    ROWS.each { |row, title| puts "| #{title} | #{names.map { |name| cell(results[name], own, row) }.join(" | ")} |" }
  end

  def setting
    commit = IO.popen(["git", "-C", __dir__, "rev-parse", "--short", "HEAD"], err: File::NULL, &:read).strip
    load = File.exist?("/proc/loadavg") ? File.read("/proc/loadavg").split.first : "unknown"
    "Commit #{commit}, Ruby #{RUBY_VERSION}, #{yjit? ? "YJIT" : "no JIT"}, #{ROUNDS} rounds of #{SECONDS.round(1)} s, load average before it #{load}."
  end
end

about = Compare.setting
results, skipped = Compare.run
abort skipped.join("\n") if results.empty?
puts about, "In parentheses: the rate of kino-actors divided by this one.", "", *skipped, *("" unless skipped.empty?)
Compare.table(results)
