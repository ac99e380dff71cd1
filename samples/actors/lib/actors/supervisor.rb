# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # Starts children, and starts those again that end.
  #
  #   Actors::Supervisor.start(strategy: :one_for_one) { child Counter, 0, name: :visits }
  #
  # A subclass calls `strategy` and `child` in its `init`.
  class Supervisor < GenServer
    include Restarts

    STRATEGIES = %i[one_for_one one_for_all rest_for_one].freeze
    AUTO_SHUTDOWNS = %i[never any_significant all_significant].freeze
    REQUESTS = %i[which_children count_children start_child restart_child terminate_child delete_child].freeze

    # What the block of `start` calls.
    class Children
      attr_reader :specs

      def initialize = @specs = []
      def child(klass, *args, **keywords) = @specs << ChildSpec.of(klass, args, keywords)
    end

    class << self
      # Starts the children that the block declares with `child`, and returns the supervisor's reference. Options besides those
      # of `strategy` are those of GenServer.start.
      def start(*args, **keywords, &block) = start_with(args, keywords, block, false)
      def start_link(*args, **keywords, &block) = start_with(args, keywords, block, true)

      # The children in the order of their start: each has `id`, `ref` (nil if it does not run) and `type`.
      def which_children(supervisor) = supervisor.call(:which_children)
      # {specs:, active:, supervisors:, workers:}
      def count_children(supervisor) = supervisor.call(:count_children)

      # Adds a child after the others, and returns its reference.
      def start_child(supervisor, klass, *args, timeout: 5, **keywords)
        StartResult.fetch(supervisor.call(:start_child, ChildSpec.of(klass, args, keywords), timeout: timeout), klass)
      end

      # Starts a child that does not run.
      def restart_child(supervisor, id) = StartResult.fetch(supervisor.call(:restart_child, id), id)
      # Ends a child, which stays in the list. False if there is none with this id.
      def terminate_child(supervisor, id, timeout: nil) = supervisor.call(:terminate_child, id, timeout: timeout)
      # Removes a child that does not run. False if there is none with this id.
      def delete_child(supervisor, id) = supervisor.call(:delete_child, id)

      private

      def start_with(args, keywords, block, link)
        if block
          children = Children.new
          children.instance_exec(&block)
          args = [children.specs, *args]
        end
        ServerLoop.start(self, args, { timeout: nil, label: keywords[:name]&.inspect, **keywords }, link: link)
      end
    end

    # Declares children. A subclass overrides it; it calls `strategy` and `child`.
    def init(specs = [], **flags)
      strategy(flags.fetch(:strategy, :one_for_one), **flags.except(:strategy))
      specs.each { |spec| add(spec) }
    end

    def start_up(*args, **keywords)
      Actors.trap_exit
      @children = []
      strategy(:one_for_one)
      init(*args, **keywords)
      start_children(@children)
    end

    def handle_call(request, _from)
      name, *args = request
      return super unless REQUESTS.include?(name)

      [:reply, send(:"do_#{name}", *args)]
    end

    def handle_info(message)
      message in [:EXIT, ref, reason]
      child = @children.find { |each| each.ref == ref } if ref
      child_ended(child, reason) if child
    end

    def terminate(_reason)
      Actors.trap_exit
      @children.reverse_each { |child| Shutdown.one(child) }
    end

    def children_info = @children.map(&:info)

    private

    # Sets what happens if a child fails, and how often within `max_seconds` children may be started again.
    def strategy(name, max_restarts: 3, max_seconds: 5, auto_shutdown: :never)
      raise ArgumentError, "the strategy must be one of #{STRATEGIES.inspect}, not #{name.inspect}" unless STRATEGIES.include?(name)
      unless AUTO_SHUTDOWNS.include?(auto_shutdown)
        raise ArgumentError, "auto_shutdown: must be one of #{AUTO_SHUTDOWNS.inspect}, not #{auto_shutdown.inspect}"
      end

      @strategy = name
      @intensity = Intensity.new(max_restarts, max_seconds)
      @auto_shutdown = auto_shutdown
    end

    # Declares a child.
    def child(klass, *args, **keywords)
      add(ChildSpec.of(klass, args, keywords))
    end

    def add(spec)
      raise ArgumentError, "two children have the id #{spec.id.inspect}: choose another with id:" if find(spec.id)

      @children << Child.new(spec, nil)
    end

    def find(id)
      @children.find { |each| each.id == id }
    end

    # In order; if one fails, those before are ended, and so is this supervisor.
    def start_children(children)
      starting = nil
      children.each { |each| (starting = each).ref = each.spec.start }
    rescue StandardError => e
      @children.reverse_each { |each| Shutdown.one(each) }
      Actors.exit([:failed_to_start_child, starting.id, StartResult.reason_of(e)])
    end

    def child_ended(child, reason)
      child.ref = nil
      if child.spec.restart?(reason)
        restart(child)
      else
        @children.delete(child) if child.spec.restart == :temporary
        shut_down_if_significant(child)
      end
    end

    def shut_down_if_significant(child)
      return unless child.spec.significant

      all = @auto_shutdown == :all_significant && @children.none? { |each| each.spec.significant && each.ref }
      Actors.exit(:shutdown) if all || @auto_shutdown == :any_significant
    end

    # A start that fails counts as a restart, too.
    def restart(child)
      loop do
        @intensity.add(Actors.now)
        give_up if @intensity.exceeded?
        affected = affected_by(child)
        affected.reverse_each { |each| Shutdown.one(each) }
        @children.reject! { |each| affected.include?(each) && !each.equal?(child) && each.spec.restart == :temporary }
        return if (affected & @children).all? { |each| started?(each) }
      end
    end

    def affected_by(child)
      case @strategy
      when :one_for_one then [child]
      when :one_for_all then @children.dup
      else @children.drop(@children.index(child))
      end
    end

    def started?(child)
      start_child_again(child)
      true
    rescue StandardError
      false
    end

    def do_which_children = @children.map(&:listed)

    def do_count_children
      { specs: @children.size, active: @children.count(&:ref), supervisors: @children.count { |each| each.spec.type == :supervisor },
        workers: @children.count { |each| each.spec.type == :worker } }
    end

    def do_start_child(spec)
      return [:error, :already_present] if find(spec.id)

      StartResult.of do
        ref = spec.start
        @children << Child.new(spec, ref)
        ref
      end
    end

    def do_restart_child(id)
      child = find(id) or return [:error, :not_found]
      return [:error, :running] if child.ref

      StartResult.of { child.ref = child.spec.start }
    end

    def do_terminate_child(id)
      child = find(id) or return false
      Shutdown.one(child)
      @children.delete(child) if child.spec.restart == :temporary
      true
    end

    def do_delete_child(id)
      child = find(id)
      return false if child.nil? || child.ref

      @children.delete(child)
      true
    end
  end
end
