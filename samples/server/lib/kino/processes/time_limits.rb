# frozen_string_literal: true

require_relative "../app/log"
require_relative "../config/options"
require_relative "child"

module Kino
  module Processes
    # The times in which a process must become ready, give a sign of life, and end when it is asked to; one that does not is killed.
    class TimeLimits
      # How much longer than shutdown_timeout an ending process may take.
      GRACE_SECONDS = 10

      def initialize(settings)
        @settings = settings
      end

      # In which a process must become ready.
      def start = @settings[:process_start_timeout]

      # When a process is killed that is asked to end +delay+ seconds from now.
      def end_at(delay = 0) = Child.now + delay + @settings[:shutdown_timeout] + GRACE_SECONDS

      # When +child+ must be checked at the latest; nil or Infinity: never.
      def next_check(child)
        return child.start_by if child.starting?
        return child.look_at(@settings[:process_timeout]) if child.ready? && child.serves?

        child.kill_at
      end

      def check(child)
        now = Child.now
        if child.starting? && now >= child.start_by
          kill(child, "was not ready within process_start_timeout (#{shown(:process_start_timeout)})")
        elsif child.kill_at && now >= child.kill_at
          kill(child, "has not ended in time")
        elsif child.serves? && child.silent?(@settings[:process_timeout], now)
          kill(child, "has given no sign of life for process_timeout (#{shown(:process_timeout)}), because a Thread keeps its GVL, perhaps")
        end
      end

      private

      def kill(child, reason)
        Log.line("#{child.name} #{reason}, and is killed")
        child.kill
      end

      def shown(option) = Options.fetch(option).show(@settings[option])
    end
  end
end
