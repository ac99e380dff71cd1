# frozen_string_literal: true

require_relative "../native"
require_relative "connection_pools"
require_relative "worker"
require_relative "../app/backtrace"
require_relative "../app/log"

module Kino
  # Creates workers in each topology. A spec says how one worker is made: #start creates a new worker for it and
  # returns before that worker has joined; the supervisor waits for the join.
  module Topology
    WORKERS_PER_CPU = 16
    # Waiting handlers need workers, not CPUs, so a small machine needs as many Ractors as a larger one.
    LEAST_DEFAULT_RACTORS = 64
    MOST_DEFAULT_WORKERS = 128
    # Of each worker in :threaded mode.
    THREADS = 3
    # A worker may join a moment before the one that it replaces has left its slot.
    SPARE_SLOTS = 2
    # The unit of all Threads in :threaded mode: their process, which is replaced as a whole, if at all.
    PROCESS = 0

    # The numbers of workers, Threads and running handlers that +settings+ do not say, for each of so many +processes+. Returns
    # sentences for the log, and nils.
    def self.settle(settings, mode, processes = 1)
      cpus = Native.available_parallelism
      ractor = mode == :ractor
      remark = settle_for_pool(settings, cpus) unless ractor
      least = ractor ? LEAST_DEFAULT_RACTORS : 1
      settings.settle(:workers) { (cpus * WORKERS_PER_CPU).clamp(least, MOST_DEFAULT_WORKERS) }
      settings.settle(:threads) { ractor ? 1 : THREADS }
      settings.settle(:concurrency) { ractor ? [cpus / processes, 1].max : 1 }
      settings.settle(:quarantine_max) { [settings[:workers] * settings[:threads] / 4, 1].max }
      settings.settle(:max_requests_jitter) { settings[:max_requests] / 10 }
      [remark, (no_recycling(settings[:max_requests]) unless ractor || processes > 1 || settings[:max_requests].zero?)]
    end

    # No more Threads than Active Record has connections, unless +settings+ say so.
    def self.settle_for_pool(settings, cpus)
      pool = ConnectionPools.smallest or return
      workers, threads = settings[:workers], settings[:threads]
      all = (workers || (cpus * WORKERS_PER_CPU).clamp(1, MOST_DEFAULT_WORKERS)) * (threads || THREADS)
      return if all <= pool.size
      return too_many(all, pool) if workers && threads

      settings.settle(:threads) { workers ? [pool.size / workers, 1].max : 1 }
      settings.settle(:workers) { [pool.size / settings[:threads], 1].max }
      all = settings[:workers] * settings[:threads]
      return too_many(all, pool) if all > pool.size

      "#{all} Thread#{"s" unless all == 1} for #{pool.size} connections: the smallest pool of Active Record (#{pool.name}) has no more; " \
        "a larger one in config/database.yml allows more Threads"
    end

    def self.too_many(threads, pool)
      "#{threads} Threads share the #{pool.size} connections of Active Record's pool #{pool.name}: a request that gets none in time " \
        "fails; enlarge the pool in config/database.yml to #{threads}, or lower workers x threads to #{pool.size}"
    end

    def self.no_recycling(requests)
      "max_requests #{requests} has no effect in mode threaded: what an app keeps in memory belongs to its process, and a new Thread frees " \
        "none of it; with several processes, it replaces the process"
    end
    private_class_method :settle_for_pool, :too_many, :no_recycling

    # How many units a server needs: those of its specs, one that replaces another, and those that are kept by stuck workers.
    def self.units(settings, mode)
      mode == :threaded ? 1 : settings[:workers] + 1 + quarantined(settings)
    end

    # How many workers there may be at a time.
    def self.slots(settings, mode)
      recycled = mode == :threaded || settings[:max_requests].zero? ? 0 : settings[:threads]
      settings[:workers] * settings[:threads] + recycled + quarantined(settings) + SPARE_SLOTS
    end

    def self.quarantined(settings)
      settings[:quarantine_timeout] ? settings[:quarantine_max] : 0
    end
    private_class_method :quarantined

    # All specs of a server, in starting order.
    def self.specs(mode, workers, threads, id, app, hooks = nil)
      return Array.new(workers * threads) { |n| ThreadSpec.new(id, app, n, hooks) } if mode == :threaded
      return Array.new(workers) { |n| RactorSpec.new(id, app, n, hooks) } if threads == 1

      Array.new(workers) { |n| RactorGroupSpec.new(id, app, n, hooks) }.flat_map { |group| Array.new(threads) { group } }
    end

    # Ruby warns once per process that Ractors are experimental. This suppresses that warning and keeps all
    # others of its category.
    def self.ractor(*arguments, name:, &block)
      previous = Warning[:experimental]
      Warning[:experimental] = false
      Ractor.new(*arguments, name: name, &block)
    ensure
      Warning[:experimental] = previous
    end

    # What all specs have in common. A spec of Ractors is a unit: the native server counts the requests of all its workers
    # together, and they are replaced together. The specs of Threads are one unit, PROCESS.
    class Spec
      attr_reader :name, :number

      def initialize(id, app, number, hooks)
        @hooks = hooks
        @id = id
        @app = app
        @number = number
        @name = "kino worker #{number}"
      end

      # A spec of the same kind that takes the place of this one.
      def successor(number)
        @replaced = true
        self.class.new(@id, @app, number, @hooks)
      end

      # Whether its workers leave as soon as its successor serves, and are not replaced themselves.
      def replaced?
        @replaced
      end

      # The spec of a worker that takes the place of one that is stuck.
      def another
        self
      end

      # Logs what the thread of +worker+, which is stuck, does. Ruby tells nothing about the Threads of other Ractors.
      def report_place(worker); end

      # Kills a worker that did not leave in time; false if Ruby cannot. It cannot interrupt another Ractor; only
      # the end of the process ends that.
      def interrupt
        false
      end

      # Called when its workers have left.
      def dismiss; end
    end

    # A worker that is a Thread of the main Ractor.
    class ThreadSpec < Spec
      def start
        @thread = Thread.new(@id, @app, @name, @hooks) do |id, app, name, hooks|
          Thread.current.report_on_exception = false
          Worker.run(id, app, name, PROCESS, hooks)
        end
      end

      # Both Threads may have to be interrupted.
      def another
        dup
      end

      def report_place(worker)
        frames = @thread.backtrace or return
        text = +"kino: #{worker} is at:\n"
        Backtrace.append(text, frames)
        Log.write(text)
      end

      def interrupt
        @thread.kill
        true
      end
    end

    # A worker in its own Ractor.
    class RactorSpec < Spec
      def start
        Topology.ractor(@id, @app, @number, @hooks, name: @name) do |id, app, number, hooks|
          Worker.run(id, app, Ractor.current.name, number, hooks)
        end
      end
    end

    # A Ractor whose Threads are workers. Its main thread only starts them, one for each :start message, so a
    # worker that dies does not affect the others of its Ractor.
    class RactorGroupSpec < Spec
      def start
        @ractor ||= found
        @ractor.send(:start)
      rescue Ractor::ClosedError
        # The app ended the whole Ractor.
        @ractor = found
        @ractor.send(:start)
      end

      # Ends the Ractor; its workers have already left.
      def dismiss
        @ractor&.send(:dismiss)
        @ractor = nil
      rescue Ractor::ClosedError
        @ractor = nil
      end

      private

      def found
        Topology.ractor(@id, @app, @number, @hooks, name: @name) do |id, app, number, hooks|
          # A worker pins its native thread. If that was the only one of all Ractors, Ruby creates another one for a
          # new thread, but not to wake this one.
          Native.pin_thread
          while Ractor.receive == :start
            begin
              Thread.new do
                Thread.current.report_on_exception = false
                Worker.run(id, app, Ractor.current.name, number, hooks)
              end
            rescue ThreadError => e
              # Otherwise it would end the Ractor and its other workers.
              Worker.refused(id, e)
            end
          end
        end
      end
    end
  end
end
