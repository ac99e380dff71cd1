# frozen_string_literal: true

require_relative "child"

module Kino
  module Processes
    # What one of several processes needs to serve: its number from 0, its place in what all know of each other's connections, the
    # addresses with their sockets, the pipes to the master (Child::Ends), and the path of the Unix socket at which it answers for
    # the statistics of all, or nil.
    Part = Struct.new(:number, :place, :addresses, :ends, :control_path, keyword_init: true) do
      # Tells the master that this process has served max_requests.
      def due = ends.tell(Child::DUE)
    end
  end
end
