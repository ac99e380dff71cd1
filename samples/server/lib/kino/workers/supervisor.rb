# frozen_string_literal: true

require_relative "backoff"
require_relative "process_end"
require_relative "remaining_workers"
require_relative "roster"
require_relative "start_outcome"
require_relative "topology"
require_relative "../errors"
require_relative "../app/log"

module Kino
  # Keeps a worker for every spec: starts workers one by one, each after the one before has joined (several new
  # Ractors that pin their threads at once can hang Ruby), and replaces those that die. When a unit has served its
  # number of requests, it starts a successor, and the unit leaves as soon as that one serves; native code plans one
  # such replacement after another (worker_recycler.hpp). When native code has put a worker aside because it is
  # stuck (quarantine.hpp), it starts another one. Runs on a Thread of its own, which waits natively for the server's
  # events. If an app ends that Thread, another one replaces it.
  class Supervisor
    # Consecutive failures after which a start continues with the existing workers, or fails if there are none.
    START_ATTEMPTS = 4
    # The time after which a worker that has not reported is no longer awaited.
    JOIN_SECONDS = 30

    # +room+ is notified when workers detect frequent collections; nil if more pages would not help. +units+: how many numbers
    # specs can have. +process+ is told, by #due, that it is to be replaced as a whole; nil: units are. The block is called
    # with the slot of each worker that has ended, and a WorkerDied or nil, on this object's Thread.
    def initialize(id, specs, units, room = nil, process: nil, &exit_hook)
      @id = id
      @exit_hook = exit_hook
      @room = room
      @process = process
      @roster = Roster.new(specs, units)
      @backoff = Backoff.new(specs.size * 2)
      @lock = Mutex.new
      @changed = ConditionVariable.new
      @outcome = StartOutcome.new
      @vacant = specs.dup # includes the one whose worker is starting
      @due = nil          # the number of a unit that waits for a free one
      @joining = @join_deadline = nil
      @delay = 0
      @refusals = 0
      @respawns = 0
      @recycled = 0
      @closing = @ended = false
    end

    # Returns when every worker has joined once. If no more can be started, returns with those that have joined
    # and keeps trying. Raises StartCancelled, or Error if there is no worker at all.
    def start
      ProcessEnd.watch
      spawn
      @outcome.await
    end

    # Cancels a start in progress. May be called in the trap of a signal.
    def cancel = @outcome.cancel

    # Stops replacing workers that leave. Call before the native server is closed.
    def closing
      @lock.synchronize do
        @closing = true
        @changed.broadcast
      end
    end

    # Waits until all workers have left; returns false after +seconds+.
    def await_departure(seconds)
      deadline = now + seconds
      @lock.synchronize do
        until (@roster.empty? && @joining.nil?) || @ended
          left = deadline - now
          return false if left <= 0

          @changed.wait(@lock, left)
        end
      end
      true
    end

    # Logs what the remaining workers do, and kills them if Ruby can; returns whether it can.
    def interrupt = RemainingWorkers.interrupt(@id, @lock.synchronize { @roster.workers })

    # Call after the native server has stopped, which ends the event loop.
    def join
      @lock.synchronize { @changed.wait(@lock) until @ended } if @thread
      @roster.dismiss
    end

    private

    def spawn
      @thread = Thread.new { supervise }
      @thread.name = "kino supervisor"
      @thread.report_on_exception = false
    end

    def supervise
      over = false
      loop do
        fill_vacancy
        over = !next_event and break
      end
    rescue Exception => e
      Log.error("the supervisor's thread failed", e)
      @delay = @backoff.after_refusal
    ensure
      over || ProcessEnd.near? ? ended : go_on
    end

    # Called when the app or an error has killed this Thread: another one continues where it was.
    def go_on
      spawn
      Log.line("the supervisor's thread was killed; another one replaces it")
    rescue ThreadError => e
      Log.error("the supervisor's thread was killed, and workers can no longer be replaced", e)
      ended
    end

    def ended
      @lock.synchronize do
        @ended = true
        @changed.broadcast
      end
      @outcome.fail("the server was stopped while its workers were starting")
    end

    # Waits for an event and handles it; returns false if there will be no more. A taken event is always handled:
    # this Thread can be killed only before or after.
    def next_event
      Thread.handle_interrupt(Object => :never) do
        patience = @joining && [@join_deadline - now, 0].max
        event = Thread.handle_interrupt(Object => :on_blocking) { Native.next_event(@id, patience) }
        handle(*event) if event
        # Whatever the event is: others may report so often that no wait times out.
        refused("it did not report for #{JOIN_SECONDS} s") if @joining && now >= @join_deadline
        !event.nil?
      end
    end

    def handle(kind, *details)
      case kind
      when :worker_joined then joined(details[0])
      when :worker_exited then exited(details[0], WorkerEnd.unpack(details[1]), details[2])
      when :worker_stuck then stuck(details[0])
      when :unit_due then @process ? @process.due : recycle(details[0])
      when :room_asked then @room&.asked
      end
    end

    # Starts a worker for the next vacant spec, unless one is still starting.
    def fill_vacancy
      until @joining || @vacant.empty?
        return unless pause(@delay)

        @delay = 0
        begin
          # First, so a started worker is awaited even if this Thread is killed here.
          @join_deadline = now + JOIN_SECONDS
          @joining = @vacant.first
          @joining.start
        rescue StandardError => e
          refused("#{e.class}: #{ErrorReport.message_of(e)}")
        end
      end
    end

    # The spec has no worker: it could not be created, or no slot was free.
    def refused(reason)
      spec = nil
      alive, closing = @lock.synchronize do
        spec = @joining
        @vacant.delete(spec) if spec&.replaced?
        @joining = nil
        @vacant.rotate!
        @changed.broadcast
        [@roster.size, @closing]
      end
      return if closing
      return departed(spec) if spec&.replaced?

      @refusals += 1
      @delay = @backoff.after_refusal
      Log.line("#{spec&.name || "a worker"} could not start (#{reason}); trying again in #{@delay} s")
      settle_for(alive, reason) if @refusals >= START_ATTEMPTS && !@outcome.ready?
    end

    # Ends a start that cannot get all its workers.
    def settle_for(alive, reason)
      return @outcome.fail("no worker could be started: #{reason}") if alive.zero?

      Log.line("serving with #{alive} of #{@roster.wanted} workers; retrying the others")
      @outcome.ready
    end

    # Waits, at most until the server closes; returns true if there is still a vacant spec.
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

    def joined(worker)
      @backoff.joined
      @refusals = 0
      all = @lock.synchronize do
        # If none is starting, this is one that was no longer awaited.
        spec = @joining || @vacant.first
        place = @vacant.index(spec)
        @vacant.delete_at(place) if place
        @roster.joined(worker, spec)
        @joining = nil
        @changed.broadcast
        @roster.size == @roster.wanted
      end
      publish
      @outcome.ready if all && !@outcome.ready?
    end

    # A unit has served its number of requests.
    def recycle(number)
      closing, former, successors = @lock.synchronize { [@closing, *@roster.replace(number)] }
      return if closing
      return @due = number unless former

      Native.replace(@id, number, successors.first.number, successors.size)
      # One that is just starting leaves later.
      @vacant.reject! { |spec| spec.equal?(former) && !spec.equal?(@joining) }
      @vacant.concat(successors)
    end

    # A worker of a unit that has a successor has ended.
    def departed(spec)
      return if @joining.equal?(spec) || !@lock.synchronize { @roster.retire(spec) }

      waiting, @due = @due, nil
      recycle(waiting) if waiting
    end

    # A worker has been put aside, as the log says.
    def stuck(worker)
      spec, closing = @lock.synchronize { [@roster.put_aside(worker), @closing] }
      return if spec.nil? || closing

      publish
      spec.report_place("worker #{worker.first}")
      @vacant.push(spec.another) unless spec.replaced?
    end

    # The error is nil after a regular end; +planned+: the worker was dismissed.
    def exited(worker, error, planned)
      reason = error&.message || "no reason given"
      return refused(reason) unless worker

      spec, aside, closing = @lock.synchronize do
        left = @roster.left(worker)
        @changed.broadcast
        [*left, @closing]
      end
      slot = worker.first
      @exit_hook&.call(slot, error)
      return publish if closing

      departed(spec) if spec&.replaced?
      return Log.line("worker #{slot}, which was put aside, has returned and ended") if aside

      if planned && spec.replaced?
        @recycled += 1
      else
        died(slot, spec, reason)
      end
      publish
    end

    def died(slot, spec, reason)
      @delay = [@delay, @backoff.after_death(now)].max
      @respawns += 1
      Log.line("worker #{slot} ended (#{reason}); another one replaces it")
      @vacant.push(spec) if spec && !spec.replaced?
    end

    # For the statistics, which are read without Ruby.
    def publish
      Native.publish(@id, @roster.size, @respawns, @recycled)
    end

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
