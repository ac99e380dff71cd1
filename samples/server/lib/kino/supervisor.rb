# frozen_string_literal: true

require_relative "backoff"
require_relative "crew"
require_relative "log"

module Kino
  # Keeps every seat taken: starts workers one by one, each after the one before has joined (several new
  # Ractors that pin their threads at once can hang Ruby), and replaces the dead. Runs on a Thread of its
  # own, which waits natively for the server's events.
  class Supervisor
    attr_reader :respawns

    # +room+ is told when workers notice that they collect a lot; nil where they are Threads.
    def initialize(id, seats, room = nil)
      @id = id
      @room = room
      @seats = seats
      @backoff = Backoff.new(seats.size * 2)
      @lock = Mutex.new
      @changed = ConditionVariable.new
      @empty_seats = seats.dup
      # By slot. A slot is free again a moment before its worker's end is reported, so for that moment the
      # next worker can be in it, too.
      @taken = Hash.new { |hash, slot| hash[slot] = [] }
      @alive = 0
      @joining = nil
      @delay = 0
      @respawns = 0
      @booted = false
      @closing = false
      @ended = false
    end

    # Returns when every worker has joined once.
    def start
      @thread = Thread.new { supervise }
      @thread.name = "kino supervisor"
      @lock.synchronize { @changed.wait(@lock) until @booted || @ended }
      raise Error, "the server was stopped while its workers were starting" unless @booted
    end

    # From now on a worker that leaves is not replaced. Call before the native side is closed.
    def closing
      @lock.synchronize do
        @closing = true
        @changed.broadcast
      end
    end

    # Waits until all workers have left; false when +seconds+ pass first.
    def await_departure(seconds)
      deadline = now + seconds
      @lock.synchronize do
        until (@alive.zero? && @joining.nil?) || @ended
          left = deadline - now
          return false if left <= 0

          @changed.wait(@lock, left)
        end
      end
      true
    end

    # Ends the workers that are still there, as far as Ruby can; whether that was any.
    def interrupt
      @lock.synchronize { @taken.values.flatten }.map(&:interrupt).any?
    end

    # After the native side has stopped, which ends the event loop.
    def join
      @thread&.join
      @seats.each(&:dismiss)
    end

    def alive
      @lock.synchronize { @alive }
    end

    private

    def supervise
      loop do
        fill_a_seat
        event = Native.next_event(@id) or break
        handle(*event)
      end
    rescue Exception => e
      Log.error("the supervisor died; the server can no longer replace workers", e)
    ensure
      @lock.synchronize do
        @ended = true
        @changed.broadcast
      end
    end

    def handle(kind, *details)
      case kind
      when :worker_joined then joined(details[0])
      when :worker_exited then exited(*details)
      when :room_asked then @room&.asked
      end
    end

    # Starts a worker on the next empty seat, unless one is still on its way.
    def fill_a_seat
      until @joining || @empty_seats.empty?
        return unless pause(@delay)

        @delay = 0
        seat = @empty_seats.shift
        begin
          @joining = seat
          seat.start
        rescue StandardError => e
          @joining = nil
          @empty_seats.push(seat)
          @delay = @backoff.after_refusal
          Log.error("cannot start a worker, trying again in #{@delay} s", e)
        end
      end
    end

    # The worker on its way found no place.
    def refused(reason)
      closing = @lock.synchronize do
        @empty_seats.push(@joining) if @joining
        @joining = nil
        @changed.broadcast
        @closing
      end
      return if closing

      @delay = @backoff.after_refusal
      Log.line("a worker could not join (#{reason}); trying again in #{@delay} s")
    end

    # Waits, but not longer than until the server closes; true if there is still a seat to fill then.
    def pause(seconds)
      deadline = now + seconds
      @lock.synchronize do
        until @closing
          left = deadline - now
          return true if left <= 0

          @changed.wait(@lock, left)
        end
      end
      false
    end

    def joined(slot)
      @backoff.joined
      @lock.synchronize do
        @taken[slot].push(@joining)
        @alive += 1
        @joining = nil
        @booted = true if @alive == @seats.size
        @changed.broadcast
      end
    end

    def exited(slot, reason)
      return refused(reason) if slot == Worker::NO_SLOT

      seat = nil
      closing = @lock.synchronize do
        seat = @taken[slot].shift
        @alive -= 1
        @changed.broadcast
        @closing
      end
      return if closing

      @delay = [@delay, @backoff.after_death(now)].max
      @respawns += 1
      @empty_seats.push(seat)
      Log.line("worker #{slot} ended (#{reason || "no reason given"}); another takes its place")
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
