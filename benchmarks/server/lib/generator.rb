# frozen_string_literal: true

require "json"

module Bench
  # Runs the load generator against a server and evaluates the result.
  class Generator
    BINARY = File.join(ENV.fetch("KINO_BENCH_NATIVE"), "load")

    # The measurements of one run, with its errors and notes.
    def self.run(port, endpoint, connections:, seconds:, warmup:, rate: nil)
      before = Machine.cpu_times
      result = JSON.parse(IO.popen(command(port, endpoint, connections, seconds, warmup, rate), &:read), symbolize_names: true)
      result.merge(judge(result, Machine.stolen_since(before)))
    rescue JSON::ParserError
      { failed: "the load generator printed no result" }
    end

    def self.command(port, endpoint, connections, seconds, warmup, rate)
      threads = (Machine.load_cpus || [0]).size
      given = [BINARY, "--port", port.to_s, "--connections", connections.to_s, "--threads", [threads, connections].min.to_s,
               "--seconds", seconds.to_s, "--warmup", warmup.to_s, *endpoint.load_options]
      given += ["--rate", format("%.2f", rate)] if rate
      Machine.pinned(Machine.load_cpus, given)
    end

    # An error invalidates a run; a note qualifies it.
    def self.judge(result, stolen)
      errors = result[:errors].reject { |_, count| count.zero? }
      return { failed: describe(errors, result[:unexpected]) } if errors.any?
      return { failed: "no responses" } if result[:requests].zero?

      notes = result[:asked_rate].zero? ? closed_loop_notes(result) : open_loop_notes(result)
      notes << "#{Numbers.percent(stolen)} of the CPU time stolen" if stolen > 0.01
      { notes: notes }
    end

    def self.describe(errors, unexpected)
      counts = errors.map { |kind, count| "#{count} #{kind} #{count == 1 ? "error" : "errors"}" }.join(", ")
      unexpected.empty? ? counts : "#{counts}, the first one in #{unexpected.inspect}"
    end

    # "starves" means that some connections were not served, and percentiles do not include their requests.
    def self.closed_loop_notes(result)
      notes = []
      busy = result[:rate] * result[:latency_us][:mean] / 1e6
      offered = result[:connections]
      least, most = result[:per_connection].values_at(:least, :most)
      if least.zero? && most >= 20
        notes << "starves: per connection #{least} to #{most}"
      elsif most >= 20 && least * 5 < most
        notes << "uneven: per connection #{least} to #{most}"
      end
      notes << format("starves: %.0f of %d connections busy", busy, offered) if busy < 0.9 * offered
      notes << format("unsteady: rate × mean latency is %.0f for %d connections", busy, offered) if busy > 1.1 * offered
      notes
    end

    def self.open_loop_notes(result)
      notes = []
      notes << "#{result[:unfinished]} unanswered" if result[:unfinished].positive?
      notes << format("only %.0f/s", result[:rate]) if result[:rate] < 0.97 * result[:asked_rate]
      notes
    end
  end
end
