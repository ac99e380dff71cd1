# frozen_string_literal: true

module Kino
  # The body of a response that is a file (Rack: to_path). Native code reads it: no String is made for a piece of it, and
  # `each` of the body is not called. Over plain HTTP/1, the I/O thread sends large ones, and no worker waits for their clients.
  # Usable in any Ractor.
  class FileBody
    LENGTH = "content-length"
    OTHERS = /\Atransfer-encoding\z/i.freeze

    # The file of +body+, opened; nil if it is none that can be sent so: the response is a part of it, has another length or
    # trailers, or it is no regular file, or one of /proc or /sys, whose sizes say nothing.
    def self.open(status, headers, body)
      return unless status.to_i == 200 && body.respond_to?(:to_path) && !body.respond_to?(:trailers)

      stated = nil
      headers.each do |name, value|
        return if name.to_s.match?(OTHERS)

        stated = value.to_s if name.to_s.casecmp?(LENGTH)
      end
      file = File.open(body.to_path, File::RDONLY | File::BINARY | File::NONBLOCK) # else a named pipe blocks until it has a writer
      made = new(file, body.is_a?(IO) ? body.pos : 0)
      return made if made.length&.positive? && (stated.nil? || stated == made.length.to_s) && made.of?(body) && made.whole?

      file.close
      nil
    rescue SystemCallError, IOError, TypeError, ArgumentError
      file&.close
      nil # its `each` may know better
    end

    # What is left from the start on; nil unless it is a regular file.
    attr_reader :length

    def initialize(file, start)
      @file = file
      @start = start
      @stat = file.stat
      @length = @stat.size - start if @stat.file?
    end

    # Whether +body+, if it is open itself, is this file: another one may have its name by now.
    def of?(body)
      return true unless body.is_a?(IO)

      other = body.stat
      [other.dev, other.ino] == [@stat.dev, @stat.ino]
    end

    # Whether there are as many bytes as the size says: files of sysfs say 4096, have fewer, and have no blocks. Raises EOFError
    # if not.
    def whole?
      @stat.blocks != 0 || !@file.pread(1, @start + @length - 1).empty?
    end

    def pour_into(stream)
      stream.pour_file(@file.fileno, @start, @length)
    end

    def close
      @file.close
    end
  end
end
