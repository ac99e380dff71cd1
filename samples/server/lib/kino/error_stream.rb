# frozen_string_literal: true

require "stringio"

require_relative "log"
require_relative "native"

module Kino
  # The rack.errors of every request: writes to the server's log and, like it, neither waits nor raises. Has the
  # writing methods of IO, of which Rack asks for #write, #puts and #flush; each call's text stays in one piece.
  # One object serves all Ractors.
  class ErrorStream
    def write(*objects)
      # As bytes: strings of several encodings need not fit together.
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

    # The log's thread writes at once, and callers need not wait for that.
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

    # Logger takes only what it can close. The log stays open.
    def close; end

    SHARED = Ractor.make_shareable(new)
    Native.rack_errors = SHARED
  end
end
