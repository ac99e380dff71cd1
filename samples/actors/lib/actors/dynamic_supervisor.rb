# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # Supervises children that come and go, any number of one kind or another. Each is started again for itself.
  class DynamicSupervisor < GenServer
    include Restarts

    class << self
      # Keyword arguments besides those of GenServer.start: `max_children:`, `max_restarts:` (3), `max_seconds:` (5).
      def start(**keywords) = ServerLoop.start(self, [], { timeout: nil, **keywords }, link: false)
      def start_link(**keywords) = ServerLoop.start(self, [], { timeout: nil, **keywords }, link: true)

      # Starts a child, with the arguments of `child` of a Supervisor, and returns its reference. Raises Down if it does not start.
      def start_child(supervisor, klass, *args, timeout: 5, **keywords)
        StartResult.fetch(supervisor.call(:start_child, ChildSpec.of(klass, args, keywords), timeout: timeout), klass)
      end

      # Ends a child, and removes it. False if there is none with this reference.
      def terminate_child(supervisor, ref, timeout: nil) = supervisor.call(:terminate_child, ref, timeout: timeout)
      # The references of the children.
      def which_children(supervisor) = supervisor.call(:which_children)
      # Their number.
      def count_children(supervisor) = supervisor.call(:count_children)
    end

    def init(max_children: nil, max_restarts: 3, max_seconds: 5)
      Actors.trap_exit
      @limit = max_children
      @intensity = Intensity.new(max_restarts, max_seconds)
      @children = {} # by reference
    end

    def handle_info(message)
      message in [:EXIT, ref, reason]
      child = @children.delete(ref) if ref
      restart(child) if child&.spec&.restart?(reason)
    end

    def terminate(_reason)
      Actors.trap_exit
      Shutdown.all(@children.values.reverse)
    end

    def start_child(spec)
      return [:error, :max_children] if @limit && @children.size >= @limit

      StartResult.of do
        child = Child.new(spec, spec.start)
        @children[child.ref] = child
        child.ref
      end
    end

    def terminate_child(ref)
      child = @children.delete(ref) or return false
      Shutdown.one(child)
      true
    end

    def children_info = @children.each_value.map(&:info)
    def which_children = @children.keys
    def count_children = @children.size

    private

    def restart(child)
      loop do
        @intensity.add(Actors.now)
        give_up if @intensity.exceeded?
        return @children[start_child_again(child)] = child
      rescue StandardError
        next
      end
    end
  end
end
