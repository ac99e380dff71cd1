# frozen_string_literal: true

module Kino
  module Processes
    # When ended processes are to be replaced: at once, or later and later if they end soon after their start.
    class Replacements
      # A process that ends sooner is one that cannot live.
      QUICK_SECONDS = 5
      FIRST_DELAY = 0.1
      LONGEST_DELAY = 10

      def initialize
        @quick_ends = Hash.new(0)
        @due = {}
      end

      # Call when process +number+ has ended at that +age+. Returns the delay.
      def ended(number, age, now)
        @quick_ends[number] = age < QUICK_SECONDS ? @quick_ends[number] + 1 : 0
        delay = @quick_ends[number].zero? ? 0 : [FIRST_DELAY * (2**[@quick_ends[number] - 1, 16].min), LONGEST_DELAY].min
        @due[number] = now + delay
        delay
      end

      # Process +number+ is no longer wanted.
      def cancel(number)
        @due.delete(number)
        @quick_ends.delete(number)
      end

      # How many times in a row it ended soon.
      def quick_ends(number) = @quick_ends[number]

      # The numbers of the processes to be started by +now+; each is returned once.
      def due(now)
        numbers = @due.select { |_, time| time <= now }.keys
        numbers.each { |number| @due.delete(number) }
      end

      # When #due has the next one; nil: never.
      def next_at = @due.values.min
    end
  end
end
