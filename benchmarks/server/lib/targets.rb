# frozen_string_literal: true

require_relative "figures"

module Bench
  # What kino's default configuration wants to reach, next to what it reached in this run.
  class Targets
    def initialize(rows, baseline, peers)
      @rows = rows
      @baseline = baseline
      @peers = peers
    end

    def table
      lines = [*first_everywhere, *against_puma, cpu, io, *many_workers, memory, overhead, open_loop, slow].compact
      return if lines.empty?

      "## Wanted and reached\n\n| what | wanted | reached | |\n| --- | --- | --- | --- |\n" +
        lines.map { |what, wanted, reached, good| "| #{what} | #{wanted} | #{reached} | #{good ? "yes" : "**no**"} |" }.join("\n")
    end

    private

    def row(section, server, **key)
      @rows.find { |row| row[:section] == section && row[:server] == server && key.all? { |name, value| row[name] == value } && row.measured? }
    end

    def rate(section, server, **key) = row(section, server, **key)&.median(:rate)

    # A peer that starves connections is fast for a few of its clients only, one that collects bodies does not stream, and
    # one that leaves requests unanswered has the latencies of the others.
    def rivals(section, **key)
      @rows.select do |row|
        row[:section] == section && !%w[kino kino-threaded bare].include?(row[:server]) && row.measured? && key.all? { |name, value| row[name] == value } &&
          row.notes.none? { |note| note.match?(/\A(starves|collects)|unanswered/) }
      end
    end

    def best_rival(section, **key) = rivals(section, **key).max_by { |row| row.median(:rate) }

    def ratio(what, wanted, value, base)
      return unless value && base&.positive?

      [what, "≥ #{Figures.percent(wanted)}", Figures.percent(value / base), value >= wanted * base]
    end

    def first_everywhere
      @rows.select { |row| row[:section] == "closed" }.map { |row| row[:endpoint] }.uniq.map do |endpoint|
        best = best_rival("closed", endpoint: endpoint)
        ratio("/#{endpoint} against #{best[:server]}, the fastest other", 0.97, rate("closed", "kino", endpoint: endpoint), best.median(:rate)) if best
      end
    end

    def against_puma
      { "plaintext" => 2.0, "json" => 2.0, "headers" => 2.0, "cpu" => 1.2 }.flat_map do |endpoint, wanted|
        ours = rate("closed", "kino", endpoint: endpoint)
        best = best_rival("closed", endpoint: endpoint)
        [ratio("/#{endpoint} against Puma cluster", wanted, ours, rate("closed", "puma", endpoint: endpoint)),
         endpoint != "cpu" && best ? ratio("/#{endpoint} against #{best[:server]}", 1.2, ours, best.median(:rate)) : nil]
      end
    end

    def cpu
      ratio("/cpu against CPUs × one thread in a loop", 0.95, rate("closed", "kino", endpoint: "cpu"), @baseline&.limit) if @baseline&.rates&.any?
    end

    def io
      slots = 32
      ratio("/io with #{slots} workers against slots ÷ wait", 0.98, rate("workers", "kino", endpoint: "io", count: slots), slots / 0.005)
    end

    def many_workers
      %w[plaintext json cpu].map do |endpoint|
        rates = @rows.select { |row| row[:section] == "workers" && row[:server] == "kino" && row[:endpoint] == endpoint && row.measured? }
                     .to_h { |row| [row[:count], row.median(:rate)] }
        ratio("/#{endpoint}: 32 workers against the best count (#{rates.key(rates.values.max)})", 0.95, rates[32], rates.values.max)
      end
    end

    def memory
      ours, puma = %w[kino puma].map { |server| row("memory", server)&.median(:pss_mb) }
      ["memory against Puma cluster at 8 workers", "≤ 20 %", Figures.percent(ours / puma), ours <= puma / 5] if ours && puma
    end

    def overhead
      ratio("/plaintext against the bare C++ server", 0.6, rate("closed", "kino", endpoint: "plaintext"), rate("closed", "bare", endpoint: "plaintext"))
    end

    def open_loop = lower_p99("open", "p99 at 80 % load", share: 0.8)
    def slow = lower_p99("slow", "p99 of /plaintext beside slow requests")

    def lower_p99(section, what, **key)
      ours = row(section, "kino", **key)&.median(:latency_us, :p99)
      best = rivals(section, **key).min_by { |row| row.median(:latency_us, :p99) }
      return unless ours && best

      other = best.median(:latency_us, :p99)
      [what, "below #{best[:server]}'s #{Figures.duration(other)}", Figures.duration(ours), ours < other]
    end
  end
end
