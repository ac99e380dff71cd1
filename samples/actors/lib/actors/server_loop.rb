# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # Runs a GenServer: takes its messages, and does what the callbacks return.
  class ServerLoop
    TURN = 100 # messages, after which another actor of the worker runs, as after a slice of time

    def self.obeys_parent? = true
    def self.default_label(args) = args.first.name || "GenServer"

    def self.shareable_args((klass, args, keywords))
      [klass, Shared.arguments(args, " of init").freeze,
       keywords.to_h { |name, each| [name, Shared.argument(each, "the argument #{name}: of init")] }.freeze]
    end

    # Starts a server of the class, and waits until it has started.
    def self.start(klass, args, keywords, link:)
      options = keywords.slice(*GenServer::OPTIONS)
      keywords = keywords.except(*GenServer::OPTIONS)
      check_keywords(klass, args, keywords) unless keywords.empty?
      name = options.delete(:name)
      name = name.name if name.is_a?(Named) && !name.registry
      timeout = options.delete(:timeout) { 5 }
      context = Context.current
      started = nil
      ref = context.spawn(self, [klass, args, keywords], link: link, name: (name unless name.is_a?(Named)), **options) do |created|
        started = Native.request(created, context.ref, [:init], true)
        Names.register(context.runtime, name, created) if name
      end
      context.await(ref, started, timeout) { "started" }
      ref
    rescue CallTimeout
      context.exit(ref, :kill) if ref
      raise
    rescue Down => e
      raise e unless ref && e.actor == ref

      raise Down.not_started(ref, e.reason), cause: nil
    end

    # A misspelt option would be one argument too many.
    def self.check_keywords(klass, args, keywords)
      kinds = klass.instance_method(:init).parameters.map(&:first)
      return if (kinds & %i[key keyreq keyrest rest]).any? || args.size < kinds.count { |kind| %i[req opt].include?(kind) }

      raise ArgumentError, "#{klass}#init takes no #{keywords.keys.map { |name| "#{name}:" }.join(", ")}, and #{klass}.start has " \
                           "only the options #{GenServer::OPTIONS.map { |name| "#{name}:" }.join(", ")}"
    end
    private_class_method :check_keywords

    def initialize(context, klass, args, keywords)
      @context = context
      @ref = context.ref
      @class = klass
      @arguments = [args, keywords]
    end

    def turn
      create unless @server
      TURN.times do
        @context.obey_signals
        unless handle_next
          return @idle_until unless @idle_until && @context.now >= @idle_until

          forget_idleness
          act(@server.handle_info(:timeout))
        end
        break if @context.slice_over?
      end
      Native.wake(@ref)
      nil
    end

    def terminate(reason)
      @server&.terminate(reason)
    end

    # A request of the runtime.
    def obey(request)
      case request
      in [:stop, reason] then stop(reason)
      in [:state] then Native.from(@ref)&.answer(state)
      in [:children] then Native.from(@ref)&.answer(@server&.children_info)
      end
    end

    # For a crash report.
    def details
      return ["init #{Report.text(@arguments.first)}", nil] if @arguments

      message = "#{@last_kind} #{Report.text(@last_message)}" if @last_kind
      [message, state]
    end

    private

    def create
      Native.take(@ref) # the request of `start`, which was there before the actor
      starter = Native.from(@ref)
      args, keywords = @arguments
      server = @class.new
      prepared = server.start_up(*args, **keywords)
      stop(prepared[1]) if prepared in [:stop, _]
      @server = server
      @arguments = nil
      starter.answer(:ok)
      act(server.handle_continue(prepared[1]), :handle_continue) if prepared in [:continue, _]
    end

    # Handles one message; returns whether there was one.
    def handle_next
      if (signal = @context.next_exit)
        forget_idleness
        act(@server.handle_info(signal))
        return true
      end
      kind = Native.take(@ref) or return false
      forget_idleness unless kind == Kind::SYSTEM
      handle(kind)
      true
    end

    def handle(kind)
      case kind
      when Kind::CALL then answer(Native.from(@ref), message(:call))
      when Kind::CAST then act(@server.handle_cast(message(:cast)), :handle_cast)
      when Kind::INFO then act(@server.handle_info(message(:info)))
      when Kind::DOWN
        down = @context.read_down
        act(@server.handle_info(down)) unless Context::NONE.equal?(down)
      else obey(Native.body(@ref))
      end
    end

    # The present message; it is kept for a crash report.
    def message(kind)
      @last_kind = kind
      @last_message = Native.body(@ref)
    end

    # The instance variables as text: what they refer to need not be copyable.
    def state
      @server.instance_variables.to_h { |name| [name, Report.text(@server.instance_variable_get(name))] }
    end

    def answer(from, request)
      case result = @server.handle_call(request, from)
      in [:reply, value] then send_answer(from, request, value)
      in [:reply, value, after]
        send_answer(from, request, value)
        settle(after, :handle_call, result)
      in [:noreply] then nil
      in [:noreply, after] then settle(after, :handle_call, result)
      in [:stop, reason] then stop(reason)
      in [:stop, reason, value]
        send_answer(from, request, value)
        stop(reason)
      else wrong_result(:handle_call, result)
      end
    end

    def send_answer(from, request, value)
      Shared.named(value, "the answer to #{Report.text(request)}") { from.answer(value) }
    end

    # What the callback has returned; other values mean nothing.
    def act(result, callback = :handle_info)
      case result
      in [:noreply, after] then settle(after, callback, result)
      in [:stop, reason] then stop(reason)
      else nil
      end
    end

    # The last element of a result.
    def settle(after, callback, result)
      case after
      in Numeric then @idle_until = @context.deadline_after(after)
      in [:continue, what] then act(@server.handle_continue(what), :handle_continue)
      else wrong_result(callback, result)
      end
    end

    def wrong_result(callback, result)
      allowed = if callback == :handle_call
                  "[:reply, answer], [:noreply], [:stop, reason] or [:stop, reason, answer]; seconds or [:continue, x] may end the first two"
                else
                  "[:noreply, seconds], [:noreply, [:continue, x]] or [:stop, reason], or something else without a meaning"
                end
      place = @server.method(callback).source_location&.join(":")
      raise Error, "#{@class}##{callback} (#{place}) has returned #{Report.text(result)}. It must return #{allowed}"
    end

    def forget_idleness
      @idle_until = nil
    end

    def stop(reason)
      raise Exit.new(Shared.copy(reason, "the reason"))
    end
  end
end
