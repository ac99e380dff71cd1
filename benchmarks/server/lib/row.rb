# frozen_string_literal: true

require_relative "numbers"

module Bench
  # One cell of the results: a server, a situation, and the measurements of each turn.
  class Row
    attr_reader :key, :results

    # +key+: section, server and the other keys that distinguish this row. The block gets the running server and
    # returns a Hash.
    def initialize(seconds, key, &measure)
      @seconds = seconds
      @key = key
      @measure = measure
      @results = []
    end

    # The approximate duration of one measurement.
    attr_reader :seconds

    def [](name) = @key[name]

    # +turn+ identifies turn and round: results of different rows with the same turn were measured within the same
    # minute.
    def measure(server, turn)
      result = @measure.call(server)
      @results << result.merge(turn: turn) if result
    end

    def fail(reason, turn)
      @results << { failed: reason, turn: turn }
    end

    def failed
      @results.map { |result| result[:failed] }.compact.first
    end

    def measured?
      @results.any? && !failed
    end

    def notes
      @results.flat_map { |result| result[:notes] || [] }.uniq { |note| note[/\A\D+/] }
    end

    # All values of one measurement, sorted: all(:latency_us, :p99).
    def all(*path)
      @results.map { |result| result.dig(*path) }.compact.sort
    end

    def median(*path) = Numbers.quantile(all(*path), 0.5)

    # The lower and the upper quartile: half of the turns are between them.
    def spread(*path) = [0.25, 0.75].map { |share| Numbers.quantile(all(*path), share) }

    # rate / other's rate of the same turn for each, sorted: a slowdown longer than a turn affects both.
    def ratios_to(other)
      theirs = other.results.to_h { |result| [result[:turn], result[:rate]] }
      pairs = @results.map { |result| [result[:rate], theirs[result[:turn]]] }.select(&:all?)
      pairs.map { |own, their| own.fdiv(their) }.sort
    end

    def ratio_to(other) = Numbers.quantile(ratios_to(other), 0.5)

    def to_h = @key.merge(results: @results)
  end

  # A server and the rows that are measured in one run of it.
  Block = Struct.new(:peer, :options, :rows, :probe) do
    self::START = 1.5 # seconds, approximately

    def start(installer) = ServerProcess.new(peer, installer: installer, **options).start(probe)
    def seconds = rows.sum(&:seconds)
  end

  # Blocks whose servers run at the same time and alternate, so other load on the machine affects all of them equally.
  Match = Struct.new(:blocks, :turns) do
    # The order of measurements in one turn: the same endpoint of all servers, then the next endpoint. Every turn begins with
    # another server, so the neighbours of a server vary.
    def schedule(turn)
      pairs = blocks.rotate(turn).flat_map { |block| block.rows.map { |row| [block, row] } }
      pairs.group_by { |_, row| row[:endpoint] }.values.flatten(1)
    end

    def rows = blocks.flat_map(&:rows)
    def seconds = blocks.size * Block::START + turns * blocks.sum(&:seconds)
  end
end
