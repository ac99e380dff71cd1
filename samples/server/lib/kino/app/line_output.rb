# frozen_string_literal: true

require "stringio"

module Kino
  # The writing methods of IO, for objects whose #append(text) passes text on to a log. The text of one call stays in one
  # piece.
  module LineOutput
    def write(*objects)
      # As bytes: strings of different encodings may be incompatible.
      text = objects.map { |object| object.to_s.b }.join.force_encoding(Encoding::UTF_8)
      append(text)
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

    # A log's thread writes immediately; callers need not wait for it.
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
  end
end
