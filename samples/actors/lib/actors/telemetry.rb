# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # Something that has happened to an actor: `name` is one of Telemetry::NAMES, `details` a Hash.
  Event = Struct.new(:name, :actor, :details)

  # Tells handlers of events. An event for which there is no handler costs one look-up.
  module Telemetry
    # Each with its details.
    NAMES = {
      start: [],                       # the actor runs
      end: %i[reason],                 # it has ended
      restart: %i[id restarts],        # its supervisor has started it again; `restarts` so far
      give_up: %i[max_restarts],       # the supervisor `actor` ends: too many restarts
      call_timeout: %i[seconds],       # it has not answered in time
      mailbox_full: %i[size],          # it has not got a message, for which it had no room
      long_turn: %i[seconds]           # it has run for so long while other actors of its Ractor waited
    }.freeze
    KEY = :kino_actors_event

    Handler = Struct.new(:names, :code)

    module_function

    def emit(runtime, name, actor, **details)
      handlers = runtime.entries[:telemetry]
      tell(runtime, handlers, name, actor, details) if handlers && !Thread.current[KEY]
    end

    # Handlers are not told of events that they cause themselves.
    def tell(runtime, handlers, name, actor, details)
      chosen = handlers.select { |handler| handler.names.include?(name) }
      return if chosen.empty?

      Thread.current[KEY] = true
      event = Ractor.make_shareable(Event.new(name, actor, details))
      chosen.each do |handler|
        handler.code.call(event)
      rescue StandardError => e
        remove(runtime, handler) and
          $stderr.puts("actors: a handler of #{handler.names.join(", ")} has raised, and is not called any more: #{Crash.of(e)}")
      end
    ensure
      Thread.current[KEY] = nil # as emit has found it
    end

    def add(runtime, handler)
      runtime.entries.update(:telemetry) { |handlers| [*handlers, handler].freeze }
    end

    # Returns whether it was there.
    def remove(runtime, handler)
      before = nil
      after = runtime.entries.update(:telemetry) do |handlers|
        before = [*handlers]
        before.reject { |each| each.equal?(handler) }.freeze
      end
      after.size < before.size
    end
  end

  # Calls the block, or `handler.call`, with an Event for each event of these names (all, if none are given), in the thread where it
  # happens: it should only count, or send the event to an actor. A handler must be shareable; a block uses variables with shareable
  # values only, and is for Ruby 4.0. One that raises is not called again. Returns the handler, for `off_event`.
  def self.on_event(*names, handler: nil, &block)
    unknown = names - Telemetry::NAMES.keys
    raise ArgumentError, "there is no event #{unknown.first.inspect}: events are #{Telemetry::NAMES.keys.map(&:inspect).join(", ")}" unless unknown.empty?

    names = Telemetry::NAMES.keys if names.empty?
    Ractor.make_shareable(Telemetry::Handler.new(names, handler || Shared.block(block))).tap do |added|
      Telemetry.add(Context.current.runtime, added)
    end
  end

  # Ends what `on_event` has begun.
  def self.off_event(handler)
    Telemetry.remove(Context.current.runtime, handler)
  end
end
