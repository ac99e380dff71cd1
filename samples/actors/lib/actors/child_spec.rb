# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # How a supervisor starts and ends a child.
  ChildSpec = Struct.new(:id, :klass, :args, :keywords, :restart, :shutdown, :type, :significant, keyword_init: true) do
    # Of the arguments of `child`.
    def self.of(klass, args, keywords)
      own = { id: keywords[:name] || klass, restart: :permanent, significant: false,
              type: klass.is_a?(Module) && (klass <= Supervisor || klass <= DynamicSupervisor) ? :supervisor : :worker }
      own.merge!(keywords.slice(*members))
      own[:shutdown] ||= own[:type] == :supervisor ? :infinity : 5
      new(**own, klass: klass, args: args, keywords: keywords.except(:id, :restart, :shutdown, :type, :significant)).check.freeze
    end

    def check
      raise ArgumentError, "#{klass.inspect} cannot be a child: it has no start_link; pass a class, such as a GenServer" unless klass.respond_to?(:start_link)
      unless %i[permanent transient temporary].include?(restart)
        raise ArgumentError, "restart: must be :permanent, :transient or :temporary, not #{restart.inspect}"
      end
      unless %i[brutal_kill infinity].include?(shutdown) || shutdown.is_a?(Numeric)
        raise ArgumentError, "shutdown: must be seconds, :brutal_kill or :infinity, not #{shutdown.inspect}"
      end
      raise ArgumentError, "a significant child is :transient or :temporary" if significant && restart == :permanent

      self
    end

    def start
      klass.start_link(*args, **keywords)
    end

    # Whether the child is started again after an end with this reason.
    def restart?(reason)
      restart == :permanent || (restart == :transient && !ChildSpec.orderly?(reason))
    end

    def self.orderly?(reason)
      reason == :normal || reason == :shutdown || (reason.is_a?(Array) && reason.first == :shutdown)
    end
  end

  # The result of starting a child, as a supervisor answers: [:ok, reference] or [:error, reason].
  module StartResult
    REFUSALS = { not_found: "the supervisor has no child with this id", running: "it runs already",
                 already_present: "another child has this id; choose one with id:",
                 max_children: "the supervisor has as many children as max_children: allows" }.freeze

    module_function

    # Of the block, which returns a reference or raises. What a child raises must not end its supervisor.
    def of
      [:ok, yield]
    rescue StandardError => e
      [:error, reason_of(e)]
    end

    def reason_of(error)
      error.is_a?(Down) ? error.reason : Crash.of(error)
    end

    # The reference. Raises Down, with `id` as the actor, if the child has not started.
    def fetch(result, id)
      case result
      in [:ok, ref] then ref
      in [:error, reason] if REFUSALS.key?(reason) then raise Down.new(id, reason, "#{id.inspect} has not started: #{REFUSALS[reason]}")
      in [:error, reason] then raise Down.not_started(id, reason)
      end
    end
  end
  private_constant :StartResult

  # A child, for its supervisor. `ref` is nil if it does not run.
  class Child
    attr_reader :spec, :restarts
    attr_accessor :ref

    def initialize(spec, ref)
      @spec = spec
      @ref = ref
      @restarts = 0
    end

    def id = spec.id
    def info = [spec.id, ref, spec.type, restarts]

    def start_again
      @restarts += 1
      @ref = spec.start
    end

    def listed = ChildInfo.new(spec.id, ref, spec.type).freeze
  end
  private_constant :Child

  # A child as `which_children` lists it.
  ChildInfo = Struct.new(:id, :ref, :type)

  # Restarts of both kinds of supervisors, with their events.
  module Restarts
    private

    # Returns the reference.
    def start_child_again(child)
      ref = child.start_again
      Telemetry.emit(Context.current.runtime, :restart, ref, id: child.id, restarts: child.restarts)
      ref
    end

    def give_up
      Telemetry.emit(Context.current.runtime, :give_up, Actors.current, max_restarts: @intensity.most)
      Actors.exit(:shutdown)
    end
  end
  private_constant :Restarts

  # Counts restarts: `exceeded?` once there were more than `most` within `seconds`.
  class Intensity
    attr_reader :most

    def initialize(most, seconds)
      raise ArgumentError, "max_restarts: must be a number of restarts, not #{most.inspect}" unless most.is_a?(Numeric)
      raise ArgumentError, "max_seconds: must be a number of seconds, not #{seconds.inspect}" unless seconds.is_a?(Numeric)

      @most = most
      @seconds = seconds
      @times = []
    end

    def add(now)
      @times << now
      @times.shift while @times.first < now - @seconds
    end

    def exceeded?
      @times.size > @most
    end
  end

  # Ends children. For actors that trap exits.
  module Shutdown
    module_function

    # Ends the children at the same time, each in its own time, and waits for them.
    def all(children)
      waiting = children.select(&:ref).to_h { |child| [tell_to_end(child), Ending.new(child, Actors.now)] }
      until waiting.empty?
        limit = waiting.each_value.filter_map(&:limit).min
        match = ->(message) { message in [:DOWN, Integer => watch, _, _] and waiting.key?(watch) }
        if (down = Actors.receive(timeout: limit && [limit - Actors.now, 0].max, &match))
          waiting.delete(down[1]).child.ref = nil
        else
          waiting.each_value { |ending| ending.kill_if_late(Actors.now) }
        end
      end
    end

    def one(child)
      all([child])
    end

    # Returns the monitor. The end of the child is no failure, so it is not linked any more.
    def tell_to_end(child)
      watch = Actors.monitor(child.ref)
      Actors.unlink(child.ref)
      Actors.exit(child.ref, child.spec.shutdown == :brutal_kill ? :kill : :shutdown)
      watch
    end

    # A child that has been told to end; `limit` is the time until which it may.
    class Ending
      attr_reader :child, :limit

      def initialize(child, now)
        @child = child
        @limit = now + child.spec.shutdown if child.spec.shutdown.is_a?(Numeric)
      end

      def kill_if_late(now)
        return unless @limit && now >= @limit

        @limit = nil
        Actors.exit(child.ref, :kill)
      end
    end
  end
end
