# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # Finds actors by key. Look-ups read a map that all Ractors share; an actor of its own writes it, and removes the entries of
  # actors that have ended.
  #
  #   Actors::Registry.start(name: :rooms)         # or as a child: child Actors::Registry, name: :rooms
  #   Actors::Registry[:rooms]["lobby"].call(...)
  class Registry
    # The actor.
    class Server < GenServer
      def init(name, keys)
        raise ArgumentError, "keys: must be :unique or :duplicate, not #{keys.inspect}" unless %i[unique duplicate].include?(keys)

        @unique = keys == :unique
        @map = Kino::Map.new
        @keys = Hash.new { |all, ref| all[ref] = [] }
        @watches = {}
        Context.current.runtime.entries[Shared.copy([:registry, name], "the name")] = @map
      end

      # Returns true, or the actor that has the key.
      def register(key, value, ref)
        entries = (@map[key] || []).select { |each, _| each.alive? }
        return entries.first.first if @unique && !entries.empty? && entries.first.first != ref
        return true unless ref.alive?

        @watches[ref] ||= Actors.monitor(ref)
        @keys[ref] |= [key]
        @map[key] = Ractor.make_shareable(entries.reject { |each, _| each == ref && @unique } << [ref, value].freeze)
        Names.wake_waiting(Context.current.runtime.entries)
        true
      end

      def unregister(key, ref)
        @keys[ref].delete(key)
        remove(key, ref)
        forget(ref) if @keys[ref].empty?
        true
      end

      def handle_info(message)
        message in [:DOWN, _, ref, _] or return
        @watches.delete(ref)
        @keys.delete(ref)&.each { |key| remove(key, ref) }
      end

      private

      def forget(ref)
        Actors.demonitor(@watches.delete(ref)) if @watches[ref]
        @keys.delete(ref)
      end

      def remove(key, ref)
        rest = (@map[key] || []).reject { |each, _| each == ref }
        rest.empty? ? @map.delete(key) : @map[key] = Ractor.make_shareable(rest)
      end
    end

    class << self
      # Starts a registry. `keys: :unique`: one actor to a key; `:duplicate`: any number.
      def start(name:, keys: :unique, **options) = start_with(name, keys, options, false)
      def start_link(name:, keys: :unique, **options) = start_with(name, keys, options, true)
      # The registry with this name. The object can be shared and kept.
      def [](name) = new(name)

      private

      def start_with(name, keys, options, link)
        ServerLoop.start(Server, [name, keys], { name: [:registry, name], label: "registry #{name.inspect}", **options }, link: link)
      end
    end

    attr_reader :name

    def initialize(name)
      @name = Shared.copy(name, "the name")
      freeze
    end

    # Gives this actor, or `ref`, the key. Raises Error if another actor has it (`:unique`). Returns true.
    def register(key, value = nil, ref: Actors.current)
      owner = server.call(:register, key, value, Ref.of(ref))
      raise Error, "#{owner.inspect} has the key #{key.inspect} of the registry #{@name.inspect} already" unless owner == true

      true
    end

    # Takes the key from this actor, or from `ref`.
    def unregister(key, ref: Actors.current)
      server.call(:unregister, key, Ref.of(ref))
    end

    # [[reference, value], ...] of the actors that have the key.
    def lookup(key)
      (map[key] || []).select { |ref, _| ref.alive? }
    end

    # The first actor that has the key, or nil.
    def whereis(key)
      lookup(key).first&.first
    end

    # A name for calls and for `start(name:)`: whichever actor has the key then.
    def [](key)
      Named.new(key, @name)
    end

    # Calls the block with the reference and the value of each actor that has the key.
    def dispatch(key, &block)
      lookup(key).each { |ref, value| block.call(ref, value) }
    end

    def keys
      map.keys.reject { |key| lookup(key).empty? }
    end

    def count
      map.values.sum { |entries| entries.count { |ref, _| ref.alive? } }
    end

    private

    def server
      Actors[[:registry, @name]].whereis || raise(missing)
    end

    def map
      Context.current.runtime.entries[[:registry, @name]] || raise(missing)
    end

    def missing
      Error.new("there is no registry #{@name.inspect}: start it with Actors::Registry.start(name: #{@name.inspect})")
    end
  end
end
