# frozen_string_literal: true

require "json"

module Kino
  module Processes
    # What processes have counted, in files of the directory in which they answer: neither the end of a process nor that of the
    # control process takes it away. A process that ends leaves its last numbers itself; the control process writes down what it is
    # told, in case a process is killed, and the sums of those that have ended. If the disk is full, the memory of the control
    # process has to do.
    class Records
      KINDS = %w[stats metrics].freeze
      NAME = /\A(\d+)\.(?:seen|final)\.(?:stats|metrics)\z/.freeze
      ENDED = "ended"

      def initialize(directory)
        @directory = directory
      end

      # Those of which something is written down.
      def pids = files.keys

      # What process +pid+ has told the control process last, or its last word; nil: nothing.
      def seen(pid, kind) = read("#{pid}.seen.#{kind}")
      def final(pid, kind) = read("#{pid}.final.#{kind}")

      # For the control process.
      def see(pid, kind, text) = write("#{pid}.seen.#{kind}", text)

      # For process +pid+ itself, when it counts no more.
      def leave(pid, kind, text) = write("#{pid}.final.#{kind}", text)

      # The sums of processes that have ended, by kind; empty at first.
      def ended
        all = JSON.parse(read(ENDED) || "{}")
        # The last ones that are in the sums, if the control process was killed before it could remove their files.
        remove(all.fetch("pids", []))
        all.slice(*KINDS)
      end

      # Writes down the sums, in which +pids+ are now.
      def fold(sums, pids)
        remove(pids) if write(ENDED, JSON.generate({ **sums, "pids" => pids }))
      end

      private

      # Names by pid.
      def files
        Dir.children(@directory).group_by { |name| name[NAME, 1]&.to_i }.tap { |all| all.delete(nil) }
      rescue Errno::ENOENT
        {}
      end

      def remove(pids)
        files.values_at(*pids).compact.flatten.each { |name| File.unlink(place(name)) }
      rescue Errno::ENOENT
        nil
      end

      def read(name)
        File.read(place(name), encoding: Encoding::UTF_8)
      rescue Errno::ENOENT
        nil
      end

      # Whole or not at all. Returns whether it could be written.
      def write(name, text)
        draft = place("#{name}.#{Process.pid}.draft")
        File.write(draft, text)
        File.rename(draft, place(name))
        true
      rescue SystemCallError
        false
      end

      def place(name) = File.join(@directory, name)
    end
  end
end
