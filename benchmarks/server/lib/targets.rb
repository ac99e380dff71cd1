# frozen_string_literal: true

require_relative "numbers"

module Bench
  # The targets of the default configuration of kino, next to the results of this run. Rates are compared turn by turn.
  class Targets
    def initialize(rows)
      @rows = rows
    end

    def table
      lines = [*first_everywhere, *against_puma, *cpu, io, *many_workers, memory, overhead, open_loop, slow, *rails].compact
      return if lines.empty?

      "## Targets\n\n| measure | target | reached | met |\n| --- | --- | --- | --- |\n" +
        lines.map { |what, wanted, reached, good| "| #{what} | #{wanted} | #{reached} | #{{ true => "yes", false => "**no**" }[good]} |" }.join("\n")
    end

    private

    def row(section, server, **key)
      @rows.find { |row| row[:section] == section && row[:server] == server && key.all? { |name, value| row[name] == value } && row.measured? }
    end

    # Excludes peers that starve connections (fast only for a few clients), collect bodies (do not stream) or leave
    # requests unanswered (their latencies do not count).
    def rivals(section, **key)
      @rows.select do |row|
        row[:section] == section && !%w[kino kino-threaded bare].include?(row[:server]) && row.measured? && key.all? { |name, value| row[name] == value } &&
          row.notes.none? { |note| note.match?(/\A(starves|collects)|unanswered/) }
      end
    end

    def best_rival(section, **key) = rivals(section, **key).max_by { |row| row.median(:rate) }

    def ratio(what, wanted, ours, other)
      return unless ours && other

      reached = ours.ratio_to(other)
      [what, "≥ #{Numbers.percent(wanted)}", Numbers.percent(reached), reached >= wanted]
    end

    def first_everywhere
      @rows.select { |row| row[:section] == "closed" }.map { |row| row[:endpoint] }.uniq.map do |endpoint|
        best = best_rival("closed", endpoint: endpoint)
        ratio("/#{endpoint} against #{best[:server]}, the fastest other", 0.97, row("closed", "kino", endpoint: endpoint), best) if best
      end
    end

    def against_puma
      { "plaintext" => 2.0, "json" => 2.0, "headers" => 2.0, "cpu" => 1.2 }.flat_map do |endpoint, wanted|
        ours = row("closed", "kino", endpoint: endpoint)
        best = best_rival("closed", endpoint: endpoint)
        [ratio("/#{endpoint} against Puma cluster", wanted, ours, row("closed", "puma", endpoint: endpoint)),
         endpoint != "cpu" && best ? ratio("/#{endpoint} against #{best[:server]}", 1.2, ours, best) : nil]
      end
    end

    # The second line is the upper bound: the loops share the CPUs with the generator and the network.
    def cpu
      loops = row("baseline", "loops")
      [ratio("/cpu against one thread in a loop on every CPU", 0.95, row("closed", "kino", endpoint: "cpu"), loops),
       limit("the loops while the bare C++ server answers as many requests, against the loops alone", row("baseline", "bare"), loops)]
    end

    def limit(what, row, other)
      [what, "", Numbers.percent(row.ratio_to(other)), nil] if row && other
    end

    def io
      slots = 32
      ours = row("workers", "kino", endpoint: "io", count: slots)
      return unless ours

      reached = ours.median(:rate) / (slots / 0.005)
      ["/io with #{slots} workers against slots ÷ wait", "≥ 98 %", Numbers.percent(reached), reached >= 0.98]
    end

    # The worker count with the largest lead over 32 workers, turn by turn.
    def many_workers
      %w[plaintext json cpu].map do |endpoint|
        counts = @rows.select { |row| row[:section] == "workers" && row[:server] == "kino" && row[:endpoint] == endpoint && row.measured? }
        many = counts.find { |row| row[:count] == 32 }
        best = counts.min_by { |row| many.ratio_to(row) } if many
        ratio("/#{endpoint}: 32 workers against the best count (#{best[:count]})", 0.95, many, best) if best
      end
    end

    def memory
      at_most("memory against Puma cluster at 8 workers", 0.2, *%w[kino puma].map { |server| row("memory", server) }) { |row| row.median(:pss_mb) }
    end

    def overhead
      ratio("/plaintext against the bare C++ server", 0.6, row("closed", "kino", endpoint: "plaintext"), row("closed", "bare", endpoint: "plaintext"))
    end

    def open_loop = lower_p99("open", "p99 at 80 % load", share: 0.8)
    def slow = lower_p99("slow", "p99 of /plaintext during slow requests")

    # Of kino's processes, against Puma's.
    def rails
      both = ->(**key) { %w[kino-rails-processes puma].map { |server| row("rails", server, **key) } }
      %w[json page].flat_map do |endpoint|
        closed, open = [1.0, 0.8].map { |share| both.(endpoint: endpoint, share: share) }
        what = "Rails, /#{endpoint}:"
        [ratio("#{what} requests/s against Puma cluster", 1.1, *closed),
         at_most("#{what} server CPU against Puma cluster", 1.0, *closed) { |row| row.median(:cpu_us_per_request) },
         at_most("#{what} p99 at 80 % load against Puma cluster", 1.0, *open) { |row| row.median(:latency_us, :p99) }]
      end + [at_most("Rails: memory against Puma cluster", 0.8, *both.(kind: :memory)) { |row| row.median(:pss_mb) }]
    end

    def at_most(what, wanted, ours, other)
      return unless ours && other

      reached = yield(ours).fdiv(yield(other))
      [what, "≤ #{Numbers.percent(wanted)}", Numbers.percent(reached), reached <= wanted]
    end

    def lower_p99(section, what, **key)
      ours = row(section, "kino", **key)&.median(:latency_us, :p99)
      best = rivals(section, **key).min_by { |row| row.median(:latency_us, :p99) }
      return unless ours && best

      other = best.median(:latency_us, :p99)
      [what, "below #{best[:server]}'s #{Numbers.duration(other)}", Numbers.duration(ours), ours < other]
    end
  end
end
