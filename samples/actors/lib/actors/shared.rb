# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # Objects that cross from one Ractor to another.
  module Shared
    module_function

    PASS_PARTS = "Pass what it is made from, or open it in the actor"

    # `object`, or a deep, frozen copy of it if it cannot be shared. An error calls it `name`, and ends with `advice`.
    def copy(object, name, advice = PASS_PARTS)
      return object if Ractor.shareable?(object)

      Native.copy(object)
    rescue StandardError => e
      raise TypeError, "#{culprit(object, name) || name} cannot be passed to another actor (#{e.message}). #{advice}"
    end

    # The arguments that an actor is started with.
    def arguments(args, owner = "")
      args.each_with_index.map { |each, index| argument(each, "argument #{index + 1}#{owner}") }
    end

    def argument(object, name)
      copy(object, name, "#{PASS_PARTS}, or start the actor with isolation: :thread")
    end

    # Calls the block, which passes `object` to another actor. If it cannot be copied, the error names its part.
    def named(object, name)
      yield
    rescue TypeError, Ractor::Error
      copy(object, name) # raises, too
      raise
    end

    # The block with Actors as self, for any Ractor.
    def block(block)
      raise ArgumentError, "the block is missing: { ... } or &block" unless block

      isolated(block)
    end

    def isolated(block)
      Ractor.respond_to?(:shareable_proc) ? Ractor.shareable_proc(self: Actors, &block) : Ractor.make_shareable(block)
    rescue ArgumentError, Ractor::Error => e
      raise e.class, "#{e.message}: the block of an actor can use variables with shareable values only. Pass values as " \
                     "arguments, or start the actor with isolation: :thread", e.backtrace
    end

    # The path of the first part that cannot be copied: "argument 1[:log].@file (a File)".
    def culprit(object, path, seen = {}.compare_by_identity)
      return if Ractor.shareable?(object) || seen[object]

      seen[object] = true
      parts(object, path).each { |part, name| (found = culprit(part, name, seen)) && (return found) }
      Native.copy(object)
      nil
    rescue StandardError
      "#{path} (#{object.class})"
    end

    def parts(object, path)
      own = object.instance_variables.map { |name| [object.instance_variable_get(name), "#{path}.#{name}"] }
      case object
      when Array then own + object.each_with_index.map { |each, index| [each, "#{path}[#{index}]"] }
      when Hash then own + object.flat_map { |key, value| [[key, "a key of #{path}"], [value, "#{path}[#{key.inspect}]"]] }
      when Struct then own + object.members.map { |name| [object[name], "#{path}.#{name}"] }
      else own
      end
    end
  end
end
