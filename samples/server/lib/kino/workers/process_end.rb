# frozen_string_literal: true

module Kino
  # Whether the process is about to end: Ruby then kills every Thread, and new ones would delay it.
  module ProcessEnd
    @near = false
    @watched = false

    class << self
      def near? = @near

      # Whole programs run in at_exit, so this watches for the end that follows the current block.
      def watch
        return if @watched && !@near

        @watched = true
        @near = false
        at_exit { @near = true }
      end
    end
  end
end
