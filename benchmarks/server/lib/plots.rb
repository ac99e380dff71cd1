# frozen_string_literal: true

require_relative "charts"

module Bench
  # Draws charts of the available results: SVG, and PNG if a converter is installed.
  class Plots
    def initialize(peers, rows)
      @peers = peers
      @rows = rows
      @colors = peers.each_with_index.to_h { |peer, index| [peer.name, Svg::COLORS[index % Svg::COLORS.size]] }
    end

    # Returns the names of the files.
    def write(directory)
      { "throughput" => throughput, "latency" => latency, "memory" => memory, "workers" => sweep("workers", "workers"),
        "connections" => connections, "cores" => sweep("cores", "CPUs of the server") }.compact.flat_map do |name, svg|
        path = File.join(directory, "#{name}.svg")
        File.write(path, svg.to_s)
        png = path.sub(/svg\z/, "png")
        converted = system("rsvg-convert", "-o", png, path, err: File::NULL)
        ["#{name}.svg", *("#{name}.png" if converted)]
      end
    end

    private

    def of(section) = @rows.select { |row| row[:section] == section && row.results.any? }
    def label(name) = @peers.find { |peer| peer.name == name }.label

    def bar(row, *path)
      return [label(row[:server]), nil, nil, Svg::FAINT] unless row.measured?

      [label(row[:server]), row.median(*path), row.spread(*path), row[:server].start_with?("kino") ? Svg::COLORS.first : "#9fb3c8"]
    end

    def throughput
      rows = of("closed")
      return if rows.none?(&:measured?)

      panels = rows.group_by { |row| row[:endpoint] }.to_h { |endpoint, own| ["/#{endpoint}", own.map { |row| bar(row, :rate) }.sort_by { |_, value,| -(value || 0) }] }
      Charts.bars("Requests per second", panels, unit: "")
    end

    def memory
      rows = of("memory").select(&:measured?)
      return if rows.empty?

      bars = rows.map { |row| bar(row, :pss_mb) }.sort_by { |_, value,| value }
      Charts.bars("Proportional memory of all processes, 8 workers, after /plaintext", { nil => bars }, unit: " MB")
    end

    def latency
      rows = of("open").select { |row| row[:share] == 0.8 && row.measured? }.sort_by { |row| row.median(:latency_us, :p99) }
      return if rows.empty?

      Charts.percentiles("/plaintext at 80 % of the server's own closed-loop rate", rows.map do |row|
        [label(row[:server]), { "p50" => :p50, "p90" => :p90, "p99" => :p99, "p99.9" => :p999 }.transform_values { |name| row.median(:latency_us, name) },
         row[:server].start_with?("kino") ? Svg::COLORS.first : "#6d87a5"]
      end, "dots from small to large: p50, p90, p99, p99.9")
    end

    def sweep(section, xlabel)
      rows = of(section).select(&:measured?)
      return if rows.empty?

      panels = rows.group_by { |row| row[:endpoint] }.to_h { |endpoint, own| ["/#{endpoint}, requests/s", series(own, :count) { |name| label(name)[/\A[^,]+/] }] }
      Charts.lines("Rate against #{xlabel}", panels, xlabel: xlabel)
    end

    def connections
      rows = of("connections").select(&:measured?)
      return if rows.empty?

      Charts.lines("Rate against connections", { "/plaintext, requests/s" => series(rows, :connections) }, xlabel: "connections")
    end

    def series(rows, step)
      rows.group_by { |row| row[:server] }.to_h { |server, own| [block_given? ? yield(server) : label(server), [own.map { |row| [row[step], row.median(:rate)] }.sort, @colors[server]]] }
    end
  end
end
