# frozen_string_literal: true

require_relative "line_output"
require_relative "log"
require_relative "../native"

module Kino
  # The rack.errors of every request: it writes to the server's log and, like the log, neither blocks nor raises. One object
  # serves all Ractors.
  class ErrorStream
    include LineOutput

    SHARED = Ractor.make_shareable(new)
    Native.rack_errors = SHARED

    private

    def append(text)
      Log.write(text)
    end
  end
end
