# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Kino
  # A number that any number of Ractors and Threads change, without a lock.
  #
  #   SERVED = Kino::Counter.new
  #   Array.new(2) { Ractor.new { 1000.times { SERVED.add } } }
  #   SERVED.value
  #
  # It holds 64 bits; a sum that needs more raises RangeError.
  class Counter
    def self.new(start = 0)
      create(start)
    end
    private_class_method :create

    # Adds `amount`, which may be negative, and returns the sum.
    def add(amount = 1)
      add_amount(amount)
    end

    def inspect
      "#<#{self.class} #{value}>"
    end

    private :add_amount
  end
end
