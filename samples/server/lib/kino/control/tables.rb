# frozen_string_literal: true

require_relative "../app/stats_line"

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
      flat = StatsLine.flat(data.reject { |_, value| value.is_a?(Array) })
      width = flat.map { |key, _| key.size }.max
      lines = flat.map { |key, value| "#{key.ljust(width)}  #{value}" }
      [*lines, *processes(data["process_status"] || [])].join("\n")
    end

    def self.processes(all)
      return [] if all.empty?

      columns = all.first.keys
      ["", *aligned([columns, *all.map { |one| one.values_at(*columns).map(&:to_s) }])]
    end

    def self.workers(data)
      rows = data["workers"].map { |worker| row(worker) }
      [*aligned([COLUMNS, *rows]), *backtraces(data)].join("\n")
    end

    def self.aligned(rows)
      widths = rows.first.each_index.map { |at| rows.map { |row| row[at].size }.max }
      rows.map { |row| row.each_with_index.map { |cell, at| cell.ljust(widths[at]) }.join("  ").rstrip }
    end

    def self.row(worker)
      request = worker["request"]
      busy = worker["busy_ms"].zero? ? "-" : "#{worker["busy_ms"] / 1000.0} s"
      what = if request then "#{request["method"]} #{request["path"]}#{"..." if request["path_is_cut"]}"
             else worker["occupied"] ? "-" : "(no worker)"
             end
      what += " (put aside)" if worker["quarantined"]
      # Of several processes, with the pid of its own.
      [[worker["pid"], worker["index"]].compact.join(":"), worker["thread_id"]&.to_s || "-", worker["served"].to_s, busy, printable(what)]
    end

    def self.backtraces(data)
      return [] unless data.key?("threads")
      return ["", "no backtraces: #{data["threads_missing"]}"] unless data["threads"]

      data["threads"].flat_map do |thread|
        ["", "#{"process #{thread["pid"]}: " if thread["pid"]}#{printable(thread["name"] || "unnamed")} (thread #{thread["thread_id"] || "unknown"}, #{thread["status"] || "ended"})",
         *thread["backtrace"].map { |frame| "  #{printable(frame)}" }]
      end
    end

    def self.printable(text) = text.gsub(/[^[:print:]]/, "?")
    private_class_method :stats, :workers, :processes, :aligned, :row, :backtraces
  end
end
