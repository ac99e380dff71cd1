# frozen_string_literal: true

module Bench
  # One cell of the results: a server, a situation, and what was measured in each round.
  class Row
    attr_reader :key, :results

    # +key+: section, server and whatever tells this row from the others. The block gets the running server
    # and returns a Hash.
    def initialize(seconds, key, &measure)
      @seconds = seconds
      @key = key
      @measure = measure
      @results = []
    end

    # How long one measurement takes, about.
    attr_reader :seconds

    def [](name) = @key[name]

    def measure(server)
      result = @measure.call(server)
      @results << result if result
    end

    def fail(reason)
      @results << { failed: reason }
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

    # All values of a figure, sorted: all(:latency_us, :p99).
    def all(*path)
      @results.map { |result| result.dig(*path) }.compact.sort
    end

    def median(*path)
      values = all(*path)
      return if values.empty?

      middle = values.size / 2
      values.size.odd? ? values[middle] : (values[middle - 1] + values[middle]) / 2.0
    end

    def spread(*path) = all(*path).minmax

    def to_h = @key.merge(results: @results)
  end

  # Rows that are measured in one life of a server.
  Block = Struct.new(:peer, :options, :rows, :probe) do
    def seconds = 1.5 + rows.sum(&:seconds)
  end
end
