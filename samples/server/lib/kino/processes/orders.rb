# frozen_string_literal: true

module Kino
  module Processes
    # Reads the orders of the master, in a process that it has forked, on a Thread of its own.
    class Orders
      # When the master has ended, for whatever reason.
      ORPHANED = :orphaned

      # The block is called with each order, a Symbol, and at last with ORPHANED.
      def initialize(io, &block)
        @thread = Thread.new do
          while (line = io.gets)
            block.call(line.chomp.to_sym)
          end
          block.call(ORPHANED)
        end
        @thread.name = "kino orders"
        @thread.report_on_exception = false
      end
    end
  end
end
