# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # What is needed to start an actor. `name` is the one that it gives back when it ends, or nil.
  Plan = Struct.new(:ref, :runtime, :behaviour, :args, :parent, :name) do
    # For code that is no actor.
    def self.visitor
      new(Native.create("outside of actors", 1 << 31, nil), Actors::REAL, Block, [], nil).freeze
    end
  end

  # Where actors run, and by which clock: this one is that of real time, Simulation is the other.
  class Runtime
    # Ractors are as the actors need them from Ruby 4.0 on.
    RACTORS = Ractor.const_defined?(:Port)
    ISOLATIONS = %i[shared own thread].freeze

    # Names and services of this runtime, for all Ractors.
    attr_reader :entries

    def initialize(workers: Native.usable_cpus)
      @workers = workers
      @turn = Kino::Counter.new
      @entries = Kino::Map.new
      freeze
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    # Creates an actor, yields its reference, and then starts it.
    def spawn(behaviour, args, isolation:, capacity:, label:, parent:, name: nil)
      started = false
      isolation = check(isolation || (RACTORS ? :shared : :thread))
      args = behaviour.shareable_args(args) unless isolation == :thread && main?
      queue = next_queue if isolation == :shared
      ref = Native.create(label || behaviour.default_label(args), capacity, queue)
      yield ref
      host_threads if main?
      plan = Plan.new(ref, self, behaviour, args.freeze, parent, name && Shared.copy(name, "the name")).freeze
      if isolation == :shared
        started = Native.start(ref, plan)
      else
        # With interrupts deferred: an actor whose Thread is killed before it runs must be finished, too.
        Thread.handle_interrupt(Object => :never) do
          start(isolation, plan)
          started = true
        end
      end
      ref
    rescue Exception => e
      failure = Crash.of(e)
      raise
    ensure
      # The actor will not run, so it ends: that tells its monitors and links.
      Names.release(self, name, ref) if name && ref && !started
      Native.finish(ref, failure || :killed) if ref && !started
    end

    # Kills the actor with this id if it is a Thread, which need not wait for the signal to be seen. Any Ractor may call this.
    def kill_thread(id)
      return Threads.kill(id) if main?

      orders = @entries[:threads]
      Native.push_plan(orders, id) if orders
    end

    # In a forked child, which has none of the actors.
    def begin_again
      @entries.keys.each { |key| @entries.delete(key) }
      Threads::ALL.clear
    end

    # Runs actors in this Ractor for ever. Thread.exit in an actor ends all actors of this worker; others then follow.
    def work(queue)
      loop do
        thread = Thread.new { Thread.handle_interrupt(Object => :immediate) { Worker.new(queue, self).run } }
        thread.report_on_exception = false
        thread.name = "actors"
        thread.join
      rescue Exception => e # a fault of the worker itself; its actors have been finished
        warn "actors: a worker has ended: #{e.full_message}"
      end
    end

    private

    def main?
      Ractor.current == Ractor.main
    end

    def check(isolation)
      raise ArgumentError, "isolation: must be one of #{ISOLATIONS.inspect}, not #{isolation.inspect}" unless ISOLATIONS.include?(isolation)
      return isolation if RACTORS || isolation == :thread

      raise Unsupported, "isolation: #{isolation.inspect} needs Ractor::Port, which Ruby has since 4.0 (this is " \
                         "#{RUBY_VERSION}): use isolation: :thread"
    end

    def start(isolation, plan)
      case isolation
      when :own then Runtime.silently { Ractor.new(plan) { |own| Parking.run(own) } }
      else main? ? Threads.start(plan) : Native.push_plan(@entries.fetch(:threads), plan)
      end
    end

    # The run queue of the next actor; the first one starts the workers.
    def next_queue
      queues = @entries[:queues] || start_workers
      queues[@turn.add % queues.size]
    end

    def start_workers
      own = Array.new(@workers) { RunQueue.create }.freeze
      queues = @entries.compute_if_absent(:queues) { own }
      return queues unless queues.equal?(own)

      own.each { |queue| Runtime.silently { Ractor.new(self, queue) { |runtime, taken| runtime.work(taken) } } }
      HeapReserve.add
      queues
    end

    # A Thread that starts and kills Threads for other Ractors.
    def host_threads
      return if !RACTORS || @entries[:threads]

      own = RunQueue.create
      return unless @entries.compute_if_absent(:threads) { own }.equal?(own)

      Thread.new do
        Thread.current.name = "actors: host"
        loop do
          order = own.take(nil)
          order.is_a?(Plan) ? Threads.start(order) : Threads.kill(order)
        end
      end
    end

    # Without the warning that Ractors are experimental.
    def self.silently
      before = Warning[:experimental]
      Warning[:experimental] = false
      yield
    ensure
      Warning[:experimental] = before
    end
  end

  REAL = Ractor.make_shareable(Runtime.new)

  # The actors that are Threads, by id. Only for the main Ractor.
  module Threads
    LOCK = Mutex.new
    ALL = {} # rubocop:disable Style/MutableConstant

    module_function

    def start(plan)
      # With interrupts deferred: see Runtime#spawn.
      Thread.handle_interrupt(Object => :never) do
        LOCK.synchronize { ALL[plan.ref.id] = Thread.new(plan) { |own| run(own) } }
      end
    end

    def kill(id)
      LOCK.synchronize { ALL[id] }&.kill
    end

    def run(plan)
      Parking.run(plan)
    ensure
      LOCK.synchronize { ALL.delete(plan.ref.id) }
    end
  end
  private_constant :Threads

  # A forked child starts without actors.
  module Forks
    def _fork
      pid = super
      return pid unless pid.zero?

      Thread.current[Context::KEY] = nil
      REAL.begin_again
      pid
    end
  end
  private_constant :Forks
  Process.singleton_class.prepend(Forks)
end
