# frozen_string_literal: true

require_relative "../app/log"
require_relative "child"

module Kino
  module Processes
    # Replaces processes one after the other: each new one is ready before the old one is asked to leave, and has left before the
    # next one is started, so there is at most one process more than usual. A restart replaces all; it ends if a new process
    # cannot start. A process that has served max_requests is due; if its replacement cannot start, it serves on until another one can.
    class Turnover
      RETRY_SECONDS = 10

      # +leave+ asks a Child to leave. The block forks process +number+, and returns the Child or raises SystemCallError.
      # +clock+ returns seconds.
      def initialize(leave, clock: Child.method(:now), &fork)
        @leave = leave
        @clock = clock
        @fork = fork
        @restart = nil # those that a restart has not replaced yet; nil: there is no restart
        @due = []
        @recycled = 0
      end

      # How many have been replaced because they were due.
      attr_reader :recycled

      # Begins to replace +children+, which are ready. Returns false if there is a restart already.
      def restart(children)
        return false if @restart

        @restart = children.reject { |child| child.equal?(@old) || child.equal?(@fresh) }.sort_by(&:number)
        proceed unless @old
        true
      end

      # +child+, which is ready, has served its number of requests.
      def due(child)
        return recycle if child.equal?(@old)

        @due << child
        proceed unless @old
      end

      # When #follow must be called; nil: when something happens.
      def next_at = (@again_at unless @old || @due.empty?)

      # Tries again what could not be done.
      def follow
        proceed unless @old || @due.empty?
      end

      # There will be no process +number+ any more.
      def drop(number)
        [@restart, @due].compact.each { |list| list.reject! { |child| child.number == number } }
        return unless @old&.number == number

        over
        proceed
      end

      def ready(child)
        @leave.call(@old) if child.equal?(@fresh) && !@old.leaving?
      end

      # Whether +child+ takes the place of one that was due, of which the log has told.
      def recycles?(child) = @recycles && child.equal?(@fresh)

      # Whether the end of +child+ is part of this, so it needs no other replacement.
      def ended(child)
        remove(child, @restart)
        remove(child, @due)
        if child.equal?(@old) then old_ended
        elsif child.equal?(@fresh) && child.starting? then give_up("(pid #{@fresh.pid}) was not ready before it ended")
        else return false
        end
        true
      end

      private

      # Returns nil if it was not there.
      def remove(child, list) = list&.reject! { |one| one.equal?(child) }

      def proceed
        if @restart&.empty?
          @restart = nil
          Log.line("restart: all processes have been replaced")
        end
        @old = @restart ? @restart.first : next_due or return
        remove(@old, @restart)
        due = remove(@old, @due)
        @fresh = @fork.call(@old.number)
        recycle if due
      rescue SystemCallError => e
        @recycles = due
        give_up("cannot be started: #{e.message}")
      end

      # The replacement counts as that of one that is due.
      def recycle
        @recycles = true
        Log.line("#{@old.name} has served max_requests, and is replaced by pid #{@fresh.pid}")
      end

      def next_due = (@due.first unless @again_at && @clock.call < @again_at)

      # If it has crashed, the new one may not be ready yet; it then takes the place of a crashed one, like any replacement.
      def old_ended
        @recycled += 1 if @recycles && @old.leaving?
        @again_at = nil
        over
        proceed
      end

      def give_up(reason)
        if @restart
          Log.line("restart: process #{@old.number + 1} stays as it is, and so do those after it, because its replacement #{reason}")
          @restart = nil
        else
          Log.line("#{@old.name} stays until it can be replaced, because its replacement #{reason}; trying again in #{RETRY_SECONDS} s")
        end
        @due.unshift(@old) if @recycles
        @again_at = @clock.call + RETRY_SECONDS
        over
      end

      def over
        @old = @fresh = @recycles = nil
      end
    end
  end
end
