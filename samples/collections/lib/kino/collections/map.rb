# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Kino
  # A hash table that any number of Ractors and Threads read and change.
  #
  #   VISITS = Kino::Map.new
  #
  #   Array.new(4) do
  #     Ractor.new { 100.times { VISITS.update("/index") { |count| (count || 0) + 1 } } }
  #   end
  #
  # * Keys are those of a Hash: `hash` and `eql?` decide, and a String that is not frozen is copied.
  # * Keys and values must be shareable (Ractor.shareable?), or TypeError is raised. A map created with `copy: true` stores a
  #   deep, frozen copy of an unshareable object. The key of a look-up may be any object.
  # * Each call takes effect at once and as a whole. No call waits for Ruby code of another thread: blocks, `hash` and `eql?`
  #   run without a lock, and may use the map.
  # * `compare_and_set(key, expected, value)` stores the value if the present one is the object `expected` (equal?), and returns
  #   whether it did.
  # * A forked child has the contents of the moment of the fork.
  class Map
    def self.new(copy: false)
      create(copy)
    end
    private_class_method :create

    # The value; without one, that of the block or `default`, or else KeyError is raised.
    def fetch(key, *default, &block)
      raise ArgumentError, "wrong number of arguments (given #{1 + default.size}, expected 1..2)" if default.size > 1
      return get_or_yield(key, &block) if block

      get_or_yield(key) do
        next default.first unless default.empty?

        raise KeyError.new("key not found: #{key.inspect}", receiver: self, key: key)
      end
    end

    # The value. Without one, stores the value of the block, and returns it. Several threads may call their blocks at the
    # same time; then the value that is stored first is that of all.
    def compute_if_absent(key, &block)
      add_computed(key, &block)
    end

    # Replaces the value by that of the block, which is called with the value (nil without one), and returns it. If another
    # thread stores or deletes a value while the block runs, the block is called again, so it should only compute.
    def update(key, &block)
      update_computed(key, &block)
    end

    # Calls the block with each key and its value, as they are when the call begins; an entry that another thread adds or
    # removes meanwhile may be missing. Without a block, returns an Enumerator.
    def each
      return to_enum unless block_given?

      contents.each_slice(2) { |key, value| yield key, value }
      self
    end

    def to_h
      contents.each_slice(2).to_h
    end

    def keys
      contents.each_slice(2).map(&:first)
    end

    def values
      contents.each_slice(2).map(&:last)
    end

    # Number of entries. Other threads may have changed it on return.
    alias length size
    alias store []=
    alias include? key?
    alias has_key? key?

    def empty?
      size.zero?
    end

    def inspect
      "#<#{self.class} #{size} entries>"
    end

    private :get_or_yield, :add_computed, :update_computed, :contents
  end
end
