# frozen_string_literal: true

require "fileutils"
require "json"

require_relative "numbers"
require_relative "plots"
require_relative "targets"

module Bench
  # Writes rows as results.json, results.md and charts.
  class Report
    def initialize(settings, peers, rows, others)
      @settings = settings
      @peers = peers
      @rows = rows
      @others = others
      @facts = Machine.facts.merge(connections: settings.connections, rounds: settings.rounds, turns: settings.turns, seconds: settings.seconds)
    end

    # Returns the Markdown.
    def write
      directory = @settings.output
      FileUtils.mkdir_p(directory)
      File.write(File.join(directory, "results.json"), JSON.pretty_generate(json))
      File.write(File.join(directory, "results.md"), text = markdown)
      pictures = Plots.new(@peers, @rows).write(directory)
      "#{text}\nWritten: #{directory}/results.json, results.md#{pictures.map { |name| ", #{name}" }.join}\n"
    end

    def ours_failed?
      @rows.any? { |row| row[:server].start_with?("kino") && row.failed }
    end

    private

    def json
      { machine: @facts, not_measured: @settings.missing,
        servers: @peers.to_h { |peer| [peer.name, peer.label] }, rows: @rows.map(&:to_h), others: @others }
    end

    def markdown
      parts = [heading, rates, details, open_loop, sweep("workers", "Rate against workers"), against_connections,
               sweep("cores", "Rate against CPUs of the server"), memory, slow, frameworks, rails, load_against_wrk, tls, h2, websocket, grpc, failures]
      parts << Targets.new(@rows).table
      @others.each { |name, text| parts << "## benchmarks/#{name}\n\n#{text.strip}" }
      "#{parts.compact.join("\n\n")}\n"
    end

    def heading
      lines = @facts.map { |name, value| "| #{name.to_s.tr("_", " ")} | #{value} |" }
      lines << "| not measured | #{@settings.missing.join("; ")} |" if @settings.missing.any?
      "| | |\n| --- | --- |\n#{lines.join("\n")}"
    end

    def of(section) = @rows.select { |row| row[:section] == section }

    def label(name) = @peers.find { |peer| peer.name == name }.label

    def table(title, header, lines)
      return if lines.empty?

      "## #{title}\n\n| #{header.join(" | ")} |\n|#{" --- |" * header.size}\n#{lines.map { |line| "| #{line.join(" | ")} |" }.join("\n")}"
    end

    def rate_cell(row)
      return "" unless row
      return row.results.empty? ? "" : "failed" if !row.measured?

      low, high = row.spread(:rate)
      spread = row.results.size > 1 ? " (#{Numbers.short(low)} to #{Numbers.short(high)})" : ""
      "#{Numbers.whole(row.median(:rate))}#{spread}#{" *" if row.notes.any?}"
    end

    def by_server(rows) = @peers.map { |peer| [peer, rows.select { |row| row[:server] == peer.name }] }.reject { |_, own| own.empty? }

    def rates
      rows = of("closed")
      names = rows.map { |row| row[:endpoint] }.uniq
      table("Requests per second in a closed loop, and server CPU per request", ["server", *names.map { |name| "/#{name}" }], by_server(rows).map do |peer, own|
        [peer.label, *names.map { |name| rate_and_cpu(own.find { |row| row[:endpoint] == name }) }]
      end)
    end

    # The CPU time depends less than the rate on what else the host does.
    def rate_and_cpu(row)
      [rate_cell(row), *("#{row.median(:cpu_us_per_request).round} µs" if row&.measured?)].join(", ")
    end

    def details
      rows = of("closed").select(&:measured?)
      table("Closed loop in detail", ["endpoint", "server", "mean", "p50", "p99", "p99.9", "per connection", "server CPU per request", "generator CPU", "notes"],
            rows.sort_by { |row| [Endpoint::ALL.keys.index(row[:endpoint]), -row.median(:rate)] }.map do |row|
        ["/#{row[:endpoint]}", label(row[:server]), *%i[mean p50 p99 p999].map { |name| Numbers.duration(row.median(:latency_us, name)) },
         "#{row.median(:per_connection, :least).round} to #{row.median(:per_connection, :most).round}",
         "#{Numbers.whole(row.median(:cpu_us_per_request))} µs", Numbers.percent(row.median(:generator_cpu)), row.notes.join("; ")]
      end)
    end

    def open_loop
      rows = of("open").select(&:measured?)
      table("Open loop: /plaintext at a constant rate", ["of its own closed-loop rate", "server", "requests/s", "p50", "p90", "p99", "p99.9", "worst", "notes"],
            rows.sort_by { |row| [row[:share], row.median(:latency_us, :p99)] }.map do |row|
        [row[:share] < 1 ? Numbers.percent(row[:share]) : "closed loop", label(row[:server]), Numbers.whole(row.median(row[:share] < 1 ? :asked_rate : :rate)),
         *%i[p50 p90 p99 p999 max].map { |name| Numbers.duration(row.median(:latency_us, name)) }, row.notes.join("; ")]
      end)
    end

    def sweep(section, title)
      rows = of(section)
      counts = rows.map { |row| row[:count] }.uniq
      pairs = rows.map { |row| row.key.values_at(:endpoint, :server) }.uniq
      table(title, ["endpoint", "server", *counts.map(&:to_s)], pairs.map do |endpoint, server|
        ["/#{endpoint}", label(server)[/\A[^,]+/], *counts.map { |count| rate_cell(rows.find { |row| row.key.values_at(:endpoint, :server, :count) == [endpoint, server, count] }) }]
      end)
    end

    def against_connections
      rows = of("connections")
      counts = rows.map { |row| row[:connections] }.uniq
      table("Rate against connections, /plaintext", ["server", *counts.map(&:to_s)], by_server(rows).map do |peer, own|
        [peer.label, *counts.map { |count| rate_cell(own.find { |row| row[:connections] == count }) }]
      end)
    end

    def memory
      table("Proportional memory (PSS) of the whole process tree with 8 workers, after /plaintext", %w[server PSS],
            of("memory").select(&:measured?).map { |row| [label(row[:server])[/\A[^,]+/], "#{row.median(:pss_mb).round} MB"] })
    end

    def slow
      rows = of("slow").select(&:measured?).sort_by { |row| row.median(:latency_us, :p99) }
      table("/plaintext, 200 times a second, while one request per CPU computes for 2 s", %w[server p50 p90 p99 worst notes], rows.map do |row|
        [label(row[:server]), *%i[p50 p90 p99 max].map { |name| Numbers.duration(row.median(:latency_us, name)) }, row.notes.join("; ")]
      end)
    end

    def frameworks
      rows = of("frameworks")
      names = rows.map { |row| row[:framework] }.uniq
      table("Hello, World! with frameworks, requests per second (kino and Kino choose the mode)", ["server", *names], by_server(rows).map do |peer, own|
        [peer.label, *names.map { |name| rate_cell(own.find { |row| row[:framework] == name }) }]
      end)
    end

    def rails
      rows = of("rails")
      names = rows.map { |row| row[:endpoint] }.compact.uniq
      header = names.flat_map { |name| ["/#{name}, requests/s", "server CPU", "p99 at 80 %"] }
      table("Rails#{" (checkouts of KINO_RAILS)" if RailsApp.checkouts.any?}: a document and a page", ["server", *header, "memory (PSS)", "notes"], by_server(rows).map do |peer, own|
        memory = own.find { |row| row[:kind] == :memory }
        cells = names.flat_map do |name|
          closed, open = [1.0, 0.8].map { |share| own.find { |row| row[:endpoint] == name && row[:share] == share } }
          [rate_cell(closed), *cells(closed, 1) { |row| ["#{Numbers.whole(row.median(:cpu_us_per_request))} µs"] },
           *cells(open, 1) { |row| [Numbers.duration(row.median(:latency_us, :p99))] }]
        end
        [RailsApp.label(peer), *cells, *cells(memory, 1) { |row| ["#{row.median(:pss_mb).round} MB"] }, own.flat_map(&:notes).uniq { |note| note[/\A\D+/] }.join("; ")]
      end)
    end

    def load_against_wrk
      table("/plaintext: this load generator and wrk against the same server process", ["server", "load generator", "wrk"], by_server(of("wrk")).map do |peer, own|
        [peer.label, *own.partition { |row| row[:tool] }.flatten.map { |row| rate_cell(row) }]
      end)
    end

    def tls = beside_plain("tls", "/plaintext with TLS", Tls::NAMES, "of plain HTTP")
    def h2 = beside_plain("h2", "/plaintext with HTTP/2", Http2::NAMES, "of HTTP/1.1")

    def websocket
      table("WebSockets", ["server", "echoes/s, 64 connections", "p99", "server CPU per echo", "#{WebSockets::MANY} connections: until the last one has a message",
                           "server CPU per delivery", "memory (PSS) of an idle connection"], by_server(of("websocket")).map do |peer, own|
        echo, broadcast, idle = WebSockets::KINDS.map { |kind| own.find { |row| row[:kind] == kind } }
        [peer.label, rate_cell(echo), *cells(echo) { |row| [Numbers.duration(row.median(:latency_us, :p99)), cpu(row)] },
         *cells(broadcast) { |row| ["#{row.median(:median_ms).round(1)} ms", cpu(row)] }, *cells(idle, 1) { |row| ["#{row.median(:kb_each).round(1)} KB"] }]
      end)
    end

    # What a row says, or empty cells.
    def cells(row, count = 2)
      row&.measured? ? yield(row) : ["failed", *[""] * (count - 1)]
    end

    def cpu(row) = "#{row.median(:cpu_us_per_request)} µs"

    def grpc
      rows = of("grpc")
      return if rows.empty?

      table("gRPC: a unary method, #{GRPC::CONNECTIONS} connections with #{GRPC::STREAMS} calls each",
            ["server", "calls/s", "of #{label(rows[0][:server])}", "server CPU per call"], rows.map do |row|
        ratio = row == rows[0] ? Numbers.percent(1) : row.measured? && rows[0].measured? ? ratio_cell(row, rows[0]) : ""
        [label(row[:server]), rate_cell(row), ratio, *cells(row, 1) { |one| [cpu(one)] }]
      end)
    end

    # The median of the ratios of single turns, with the lowest and the highest.
    def ratio_cell(row, other)
      ratios = row.ratios_to(other)
      "#{Numbers.percent(Numbers.quantile(ratios, 0.5))} (#{ratios.minmax.map { |ratio| Numbers.percent(ratio) }.join(" to ")})"
    end

    # The kinds of a section, each beside the first one of the same server.
    def beside_plain(section, title, names, share)
      rows = of(section)
      table(title, ["", "", "requests/s", share, "server CPU per request"], rows.map do |row|
        plain = rows.find { |other| other[:server] == row[:server] && other[:kind] == names.keys.first }
        ratios = row.measured? && plain.measured? ? [Numbers.percent(row.ratio_to(plain)), "#{Numbers.whole(row.median(:cpu_us_per_request))} µs"] : ["", ""]
        [label(row[:server]), names.fetch(row[:kind]), rate_cell(row), *ratios]
      end)
    end

    def failures
      lines = @rows.select(&:failed).group_by { |row| [row[:server], row[:section], row.failed[0, 60]] }.map do |(server, section, _), rows|
        what = rows.map { |row| row.key.except(:server, :section, :connections).values.compact.join(" ") }.uniq.join(", ")
        "* #{label(server)}, #{section} (#{what}): #{rows.first.failed}"
      end
      return if lines.empty? && @rows.none? { |row| row.notes.any? }

      "## Failed measurements\n\n#{lines.empty? ? "None." : lines.join("\n")}\n\n`*` marks a rate with a note, in the details or in results.json."
    end
  end
end
