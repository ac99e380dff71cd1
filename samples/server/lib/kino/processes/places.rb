# frozen_string_literal: true

require_relative "../native"

module Kino
  module Processes
    # Places in the memory in which the processes see how many connections the others have, so that each accepts its share. One
    # that leaves keeps its place beside the one that replaces it.
    class Places
      def initialize(count)
        Native.share_connections(count)
        @free = count.times.to_a
      end

      # Nil if there is none left; then the process accepts what it can get.
      def take = @free.shift

      def give_back(place)
        Native.vacate_share(place)
        @free << place
      end
    end
  end
end
