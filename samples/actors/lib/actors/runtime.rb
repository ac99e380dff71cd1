# frozen_string_literal: true

# SPDX-License-Identifier: MIT

require "etc"

module Actors
  # What is needed to start an actor.
  Plan = Struct.new(:ref, :runtime, :behaviour, :args, :parent) do
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

    def initialize(workers: Etc.nprocessors)
      @queues = Array.new(workers) { RunQueue.create }.freeze
      @threads = RunQueue.create # plans of actors that other Ractors start in Threads of this one
      @started = Kino::Counter.new
      @hosting = Kino::Counter.new
      @turn = Kino::Counter.new
      @entries = Kino::Map.new
      freeze
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    # Creates an actor, yields its reference, and then starts it.
    def spawn(behaviour, args, isolation:, capacity:, label:, parent:)
      isolation = check(isolation || (RACTORS ? :shared : :thread))
      args = behaviour.shareable_args(args) unless isolation == :thread && main?
      queue = @queues[@turn.add % @queues.size] if isolation == :shared
      ref = Native.create(label || behaviour.default_label(args), capacity, queue)
      yield ref
      start(isolation, Plan.new(ref, self, behaviour, args.freeze, parent).freeze)
      ref
    rescue Exception => e # any: the actor will not run, and all who know of it must learn that
      Native.finish(ref, Crash.of(e)) if ref
      raise
    end

    # The functions below are for the threads that run actors.

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

    # With interrupts deferred: an actor whose thread is ended before it runs must be finished, too.
    def start(isolation, plan)
      host_threads if main?
      Thread.handle_interrupt(Object => :never) do
        case isolation
        when :shared
          start_workers
          Native.start(plan.ref, plan)
        when :own then Runtime.silently { Ractor.new(plan) { |own| Parking.run(own) } }
        else main? ? Thread.new(plan) { |own| Parking.run(own) } : Native.push_plan(@threads, plan)
        end
      end
    end

    def start_workers
      return unless @started.value.zero? && @started.add == 1

      @queues.each { |queue| Runtime.silently { Ractor.new(self, queue) { |runtime, own| runtime.work(own) } } }
    end

    # A Thread that starts Threads for other Ractors.
    def host_threads
      return unless RACTORS && @hosting.value.zero? && @hosting.add == 1

      Thread.new do
        Thread.current.name = "actors: host"
        loop { Thread.new(@threads.take(nil)) { |plan| Parking.run(plan) } }
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
end
