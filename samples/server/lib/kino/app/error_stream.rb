# frozen_string_literal: true

require "stringio"

require_relative "log"
require_relative "../native"

module Kino
  # The rack.errors of every request: it writes to the server's log and, like the log, neither blocks nor raises. It
  # has the writing methods of IO, of which Rack requires #write, #puts and #flush. The text of one call stays in one
  # piece. One object serves all Ractors.
  class ErrorStream
    def write(*objects)
      # As bytes: strings of different encodings may be incompatible.
      text = objects.map { |object| object.to_s.b }.join.force_encoding(Encoding::UTF_8)
      Log.write(text)
      text.bytesize
    end

    def <<(object)
      write(object)
      self
    end

    def print(*objects)
      write(*objects)
      nil
    end

    def puts(*objects)
      text = StringIO.new(String.new)
      text.puts(*objects)
      print(text.string)
    end

    def printf(...)
      print(format(...))
    end

    # The log's thread writes immediately; callers need not wait for it.
    def flush
      self
    end

    def fsync
      0
    end

    def sync
      true
    end

    def sync=(_always); end

    def tty?
      false
    end
    alias isatty tty?

    # Logger accepts only objects that can be closed. The log stays open.
    def close; end

    SHARED = Ractor.make_shareable(new)
    Native.rack_errors = SHARED
  end
end
