# frozen_string_literal: true

require_relative "../app/log"

module Kino
  module Processes
    # Replaces the processes one after the other: each new one is ready before the old one is asked to leave, and has left
    # before the next one is started, so there is at most one process more than usual.
    class PhasedRestart
      # +children+: those to be replaced. The block forks process +number+, and returns the Child or raises
      # SystemCallError; +leave+ asks one to leave.
      def initialize(children, leave, &fork)
        @left = children.sort_by(&:number)
        @leave = leave
        @fork = fork
        proceed
      end

      def over? = @old.nil?

      def ready(child)
        @leave.call(@old) if child.equal?(@fresh) && !@old.leaving?
      end

      # Whether the end of +child+ belongs to this restart, so it needs no replacement.
      def ended(child)
        @left.delete(child)
        if child.equal?(@old) then old_ended
        elsif child.equal?(@fresh) && child.starting? then fresh_ended
        else return false
        end
        true
      end

      private

      def proceed
        @old = @left.shift or return Log.line("restart: all processes have been replaced")
        @fresh = @fork.call(@old.number)
      rescue SystemCallError => e
        give_up("cannot be started: #{e.message}")
      end

      # If it has crashed, the new one may not be ready yet; it then takes the place of a crashed one, like any replacement.
      def old_ended
        @old = @fresh = nil
        proceed
      end

      def fresh_ended
        give_up("(pid #{@fresh.pid}) was not ready before it ended")
      end

      def give_up(reason)
        Log.line("restart: process #{@old.number + 1} stays as it is, and so do those after it, because its replacement #{reason}")
        @old = @fresh = nil
      end
    end
  end
end
