# frozen_string_literal: true

require_relative "../native"

module Kino
  module Processes
    # Places in shared memory, one for each process: there it publishes its number of connections, so that all processes accept
    # equal shares, and whether all its workers are stuck. A process that is leaving keeps its place while the one that replaces it has another.
    class Places
      def initialize(count)
        Native.make_places(count)
        @free = count.times.to_a
      end

      # Nil if there is none left; then the process accepts what it can get.
      def take
        # The lowest one: each process reads all places up to the highest that was ever used.
        @free.delete(@free.min)
      end

      def give_back(place)
        Native.vacate_place(place)
        @free << place
      end
    end
  end
end
