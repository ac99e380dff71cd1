# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # Names of servers (`start(name: :counter)`).
  module Names
    module_function

    def register(runtime, name, ref)
      return Registry[name.registry].register(name.name, ref: ref) if name.is_a?(Named)

      owner = claim(runtime.entries, Shared.copy([:name, name], "the name"), ref)
      wake_waiting(runtime.entries) if owner == ref
      raise Error, "#{owner.inspect} has the name #{name.inspect} already: choose another, or use Actors[#{name.inspect}]" unless owner == ref
    end

    # Gives the key to `ref` unless an actor that is alive has it. Returns the actor that has it then.
    def claim(entries, key, ref)
      entries.update(key) { |present| present&.alive? ? present : ref }
    end

    # Calls the block whenever an actor has got a name, until it returns something other than NONE: for at most `timeout` seconds.
    def wait(context, timeout, &block)
      entries = context.runtime.entries
      entries.update(:waiting) { |refs| [*refs, context.ref].freeze }
      context.wait(timeout, &block)
    ensure
      entries.update(:waiting) { |refs| ([*refs] - [context.ref]).freeze }
    end

    # Wakes the actors that wait, for whichever name: they are few, and wait seldom.
    def wake_waiting(entries)
      entries[:waiting]&.each { |ref| Native.wake(ref) }
    end

    # An actor that ends gives its name back before it has ended: no other actor can have it then.
    def release(runtime, name, ref)
      key = [:name, name].freeze
      runtime.entries.delete(key) if runtime.entries[key] == ref
    end

    def find(runtime, name)
      ref = runtime.entries[[:name, name]]
      ref if ref&.alive?
    end
  end

  # The actor that has a name at the moment of each call. It can be shared and kept: after a restart, it is the new actor.
  class Named
    attr_reader :name, :registry

    # `registry`: the name of the registry that has the key `name`.
    def initialize(name, registry = nil)
      @name = Shared.copy(name, "the name")
      @registry = registry
      freeze
    end

    # The reference, or nil.
    def whereis
      @registry ? Registry[@registry].whereis(@name) : Names.find(Context.current.runtime, @name)
    end

    # As those of Ref; Down is raised if no actor has the name.
    def call(*request, timeout: 5) = ref.call(*request, timeout: timeout)
    def stop(reason = :normal, timeout: 5) = ref.stop(reason, timeout: timeout)

    # As those of Ref; without an actor, the message goes nowhere.
    def cast(*message, full: :block) = whereis&.cast(*message, full: full) || false
    def send_info(message, full: :block) = whereis&.send_info(message, full: full) || false

    def <<(message)
      whereis&.<<(message)
      self
    end

    # Whether an actor has the name.
    def alive? = !whereis.nil?

    # The reference. Raises Down if no actor has the name.
    def ref = whereis || raise(missing)

    # The reference, once an actor has the name: after a restart, for instance. Raises Down if none has within `timeout` seconds
    # (nil: never).
    def await(timeout: 5)
      found = whereis || Names.wait(Context.current, timeout) { whereis || Context::NONE }
      raise missing(" within #{timeout} s") if Context::NONE.equal?(found)

      found
    end

    def ==(other) = other.is_a?(Named) && other.name == name && other.registry == registry
    alias eql? ==
    def hash = [Named, name, registry].hash
    def inspect = "#<Actor named #{name.inspect}>"

    private

    def missing(time = nil)
      place = " in the registry #{@registry.inspect}" if @registry
      Down.new(self, :noproc, "no actor has #{"got " if time}the #{@registry ? "key" : "name"} #{@name.inspect}#{place}#{time}")
    end
  end

  # The actor with this name, whichever it is when it is called.
  def self.[](name)
    Named.new(name)
  end
end
