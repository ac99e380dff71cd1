# frozen_string_literal: true

require "json"

require_relative "../control/client"
require_relative "../listen/address"
require_relative "facts"
require_relative "metrics_sum"
require_relative "records"
require_relative "stats_sum"

module Kino
  module Processes
    # Asks the processes of a server what they count, and adds it up. Each answers at a Unix socket with its pid as name, in a
    # directory that only the server's user can enter. What they count is written down there, too. Used by one Thread.
    class Collection
      # Processes that have not answered by then are left out; the control plane waits for a second.
      PATIENCE_SECONDS = 0.7
      SOCKET = /\A\d+\z/.freeze

      def initialize(directory)
        @directory = directory
        @records = Records.new(directory)
        ended = @records.ended
        @stats = StatsSum.new(ended.fetch("stats", {}))
        @metrics = MetricsSum.new(ended.fetch("metrics", {}))
        @records.pids.each { |pid| remember(pid) }
        @facts = Facts.new(0, 0, 0)
      end

      attr_writer :facts

      # JSON.
      def stats
        pids = add("stats")
        JSON.generate({ **@stats.sum(pids), "worker_status" => @stats.workers(pids), **@facts.stats,
                        "process_status" => @stats.each_process(pids) }) << "\n"
      end

      # For Prometheus; +type+: the media type of the wanted format.
      def metrics(type)
        pids = add("metrics", headers: { "Accept" => type })
        open_metrics = type.include?("openmetrics")
        @metrics.text(pids, @facts.metrics(pids.size, open_metrics: open_metrics), open_metrics: open_metrics)
      end

      # JSON.
      def workers(query)
        answers = ask("/workers#{"?#{query}" unless query.empty?}").transform_values { |text| JSON.parse(text) }
        all = { "workers" => of_all(answers, "workers") }
        if answers.each_value.any? { |answer| answer.key?("threads") }
          all["threads"] = of_all(answers, "threads")
          all["threads_missing"] = answers.each_value.filter_map { |answer| answer["threads_missing"] }.first
        end
        JSON.generate(all) << "\n"
      end

      # Sentences of all processes, or the one that none of them could do it.
      def log_level(level)
        said = ask("/log-level?#{level}", method: "POST", refusals: true)
        return said.values.first&.chomp if said.each_value.all? { |text| text.start_with?("cannot ") }

        said.map { |pid, text| "process #{pid}: #{text.chomp}" }.join("; ")
      end

      private

      # Asks all, and returns the pids of those that have answered.
      def add(kind, **rest)
        answers = ask("/#{kind}", **rest)
        answers.each do |pid, text|
          update(kind, pid, text)
          @records.see(pid, kind, text)
        end
        answers.keys
      end

      def update(kind, pid, text)
        kind == "stats" ? @stats.update(pid, JSON.parse(text)) : @metrics.update(pid, text)
      end

      # What is written down of it, if this process does not know better.
      def remember(pid)
        { "stats" => @stats, "metrics" => @metrics }.each do |kind, sum|
          text = @records.final(pid, kind) || (@records.seen(pid, kind) unless sum.keys.include?(pid))
          update(kind, pid, text) if text
        end
      end

      def of_all(answers, key)
        answers.flat_map { |pid, answer| (answer[key] || []).map { |one| { "pid" => pid }.merge(one) } }
      end

      # What each process answers, by its pid: all are asked at the same time. +refusals+: whether they count as answers.
      def ask(path, headers: {}, method: "GET", refusals: false)
        deadline = now + PATIENCE_SECONDS
        pids = Dir.children(@directory).grep(SOCKET).map(&:to_i)
        forget((@stats.keys | @metrics.keys | @records.pids) - pids)
        asked = pids.map { |pid| [pid, Thread.new { request(pid, method, path, headers, refusals) }] }
        asked.each_with_object({}) do |(pid, thread), answers|
          answer = thread.join([deadline - now, 0].max) ? thread.value : thread.kill && nil
          answers[pid] = answer if answer.is_a?(String)
          buried(pid) if answer == :gone
        end
      end

      def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

      # Nil if there is no answer.
      def request(pid, method, path, headers, refusals)
        response = ControlClient.new(Address.new(path: place(pid)), "").ask_with(method, path, headers)
        response.body.force_encoding(Encoding::UTF_8) if refusals || response.is_a?(Net::HTTPSuccess)
      rescue ControlClient::Unreachable
        alive?(pid) ? nil : :gone # it may still start
      end

      def alive?(pid)
        Process.kill(0, pid)
        true
      rescue SystemCallError
        false
      end

      # A process that was killed leaves its socket.
      def buried(pid)
        forget([pid])
        File.unlink(place(pid))
      rescue Errno::ENOENT
        nil
      end

      # They have ended: what they have counted stays.
      def forget(pids)
        return if pids.empty?

        pids.each do |pid|
          remember(pid)
          [@stats, @metrics].each { |sum| sum.gone(pid) }
        end
        @records.fold({ "stats" => @stats.ended, "metrics" => @metrics.ended }, pids)
      end

      def place(pid) = File.join(@directory, pid.to_s)
    end
  end
end
