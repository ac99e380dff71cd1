# frozen_string_literal: true

module Kino
  module Processes
    # What only the master knows of its processes, for operators: how many it keeps, how many have ended unasked and were replaced,
    # and how many were replaced after max_requests.
    Facts = Struct.new(:configured, :replaced, :recycled) do
      def self.parse(line) = new(*line.split.map(&:to_i))

      # Read by Facts.parse.
      def to_s = to_a.join(" ")

      # For /stats.
      def stats = { "processes" => configured, "process_replacements" => replaced, "processes_recycled" => recycled }

      # Lines for /metrics. +answering+: how many processes have answered.
      def metrics(answering, open_metrics:)
        [["kino_processes", "Processes that serve, as many as have answered.", "gauge", answering],
         ["kino_processes_configured", "Processes that the server keeps.", "gauge", configured],
         ["kino_process_replacements", "Processes that have ended unasked and were replaced.", "counter", replaced],
         ["kino_processes_recycled", "Processes that were replaced after max_requests.", "counter", recycled]]
          .flat_map do |name, help, type, value|
            sample = type == "counter" ? "#{name}_total" : name
            family = open_metrics ? name : sample
            ["# HELP #{family} #{help}", "# TYPE #{family} #{type}", "#{sample} #{value}"]
          end
      end
    end
  end
end
