# frozen_string_literal: true

module Kino
  # What `kino ctl` prints for people.
  module Tables
    OF = { "stats" => :stats, "workers" => :workers }.freeze
    COLUMNS = %w[slot thread served busy request].freeze

    # +data+ is parsed JSON. Terminals get no control characters from clients.
    def self.text(name, data)
      send(OF.fetch(name), data)
    end

    def self.stats(data)
      flat = flatten(data.reject { |key, _| key == "worker_status" })
      width = flat.map { |key, _| key.size }.max
      flat.map { |key, value| "#{key.ljust(width)}  #{value}" }.join("\n")
    end

    def self.flatten(data, prefix = "")
      data.flat_map { |key, value| value.is_a?(Hash) ? flatten(value, "#{prefix}#{key}.") : [["#{prefix}#{key}", value]] }
    end

    def self.workers(data)
      rows = data["workers"].map { |worker| row(worker) }
      widths = COLUMNS.each_index.map { |at| [COLUMNS, *rows].map { |row| row[at].size }.max }
      lines = [COLUMNS, *rows].map { |row| row.each_with_index.map { |cell, at| cell.ljust(widths[at]) }.join("  ").rstrip }
      [*lines, *backtraces(data)].join("\n")
    end

    def self.row(worker)
      request = worker["request"]
      busy = worker["busy_ms"].zero? ? "-" : "#{worker["busy_ms"] / 1000.0} s"
      what = if request then "#{request["method"]} #{request["path"]}#{"..." if request["path_is_cut"]}"
             else worker["occupied"] ? "-" : "(no worker)"
             end
      [worker["index"].to_s, worker["thread_id"]&.to_s || "-", worker["served"].to_s, busy, printable(what)]
    end

    def self.backtraces(data)
      return [] unless data.key?("threads")
      return ["", "no backtraces: #{data["threads_missing"]}"] unless data["threads"]

      data["threads"].flat_map do |thread|
        ["", "#{printable(thread["name"] || "unnamed")} (thread #{thread["thread_id"] || "unknown"}, #{thread["status"] || "ended"})",
         *thread["backtrace"].map { |frame| "  #{printable(frame)}" }]
      end
    end

    def self.printable(text) = text.gsub(/[^[:print:]]/, "?")
    private_class_method :stats, :flatten, :workers, :row, :backtraces, :printable
  end
end
