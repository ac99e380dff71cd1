# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # Runs a GenServer: takes its messages, and does what the callbacks return.
  class ServerLoop
    TURN = 100 # messages, before another actor of the worker runs

    def self.obeys_parent? = true
    def self.default_label(args) = args.first.name || "GenServer"

    def self.shareable_args((klass, args, keywords))
      [klass, args.each_with_index.map { |each, index| Shared.copy(each, "argument #{index + 1} of init") }.freeze,
       keywords.to_h { |name, each| [name, Shared.copy(each, "the argument #{name}: of init")] }.freeze]
    end

    # Starts a server of the class, and waits until it has started.
    def self.start(klass, args, keywords, link:)
      options = keywords.slice(*GenServer::OPTIONS)
      keywords = keywords.except(*GenServer::OPTIONS)
      name = options.delete(:name)
      timeout = options.delete(:timeout) { 5 }
      context = Context.current
      started = nil
      ref = context.spawn(self, [klass, args, keywords], link: link, **options) do |created|
        started = Native.request(created, context.ref, [:init], true)
        Names.register(context.runtime, name, created) if name
      end
      context.await(ref, started, :init, timeout)
      ref
    rescue CallTimeout
      context.exit(ref, :kill) if ref
      raise
    end

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
      message = "#{@last_kind} #{Report.text(@last_message)}" if @last_kind
      [message, @server && state]
    end

    private

    def create
      Native.take(@ref) # the request of `start`, which was there before the actor
      starter = Native.from(@ref)
      args, keywords = @arguments
      @arguments = nil
      server = @class.new
      prepared = server.start_up(*args, **keywords)
      stop(prepared[1]) if prepared in [:stop, _]
      @server = server
      starter.answer(:ok)
      act(server.handle_continue(prepared[1])) if prepared in [:continue, _]
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
      when Kind::CAST then act(@server.handle_cast(message(:cast)))
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
      case @server.handle_call(request, from)
      in [:reply, value, *rest]
        Shared.named(value, "the answer to #{request.inspect}") { from.answer(value) }
        settle(rest)
      in [:noreply, *rest] then settle(rest)
      in [:stop, reason] then stop(reason)
      in [:stop, reason, value]
        from.answer(value)
        stop(reason)
      end
    rescue NoMatchingPatternError => e
      raise e unless e.backtrace_locations&.first&.path == __FILE__

      raise Error, "#{@class}#handle_call(#{request.inspect}) must return [:reply, answer], [:noreply] or [:stop, reason]"
    end

    # What a callback without an answer has returned.
    def act(result)
      case result
      in [:noreply, *rest] then settle(rest)
      in [:stop, reason] then stop(reason)
      else nil
      end
    end

    def settle(rest)
      case rest
      in [] then nil
      in [Numeric => seconds] then @idle_until = @context.now + seconds
      in [[:continue, what]] then act(@server.handle_continue(what))
      end
    end

    def forget_idleness
      @idle_until = nil
    end

    def stop(reason)
      raise Exit.new(Shared.copy(reason, "the reason"))
    end
  end
end
