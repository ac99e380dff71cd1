# frozen_string_literal: true

module Kino
  # A file that an option or a flag names. It may be anything: a named pipe without a writer, a device, or a file that fills the memory.
  module NamedFile
    # The message is the reason, and #cause the system's error, if it is one.
    class Unusable < StandardError; end

    KINDS = { "directory" => "a directory", "fifo" => "a named pipe", "socket" => "a socket",
              "characterSpecial" => "a device", "blockSpecial" => "a device" }.freeze

    # Why a file that is to be written cannot be created.
    NO_DIRECTORY = "its directory does not exist"

    # Yields the file, a regular one, to be read; never waits. +flags+ are those of File.open, added. Raises Unusable.
    def self.open(path, flags = 0)
      # A socket cannot be opened, and to open a device may do something.
      refuse_others(File.stat(path))
      # NONBLOCK: to open a named pipe, if it has become one, blocks until it has a writer.
      File.open(path, File::RDONLY | File::NONBLOCK | flags, encoding: Encoding::BINARY) do |file|
        refuse_others(file.stat)
        yield file
      end
    rescue SystemCallError => e
      raise Unusable, reason(e)
    end

    # Its bytes, at most +limit+. Raises Unusable.
    def self.read(path, limit)
      open(path) { |file| contents(file, limit) }
    end

    # Those of an open file.
    def self.contents(file, limit)
      bytes = file.read(limit + 1).to_s
      bytes.bytesize > limit ? raise(Unusable, "it is longer than #{limit} bytes") : bytes
    end

    # Raises Unusable if no file can be written there; does not create it.
    def self.check_writable(path)
      kind = File.ftype(path) if File.exist?(path)
      place = kind ? path : File.dirname(path)
      raise Unusable, "it is a directory" if kind == "directory"
      raise Unusable, NO_DIRECTORY unless File.exist?(place)
      raise Unusable, reason(Errno::EACCES.new) unless File.writable?(place)
    end

    def self.refuse_others(stat)
      raise Unusable, "it is #{KINDS.fetch(stat.ftype, "of an unknown kind")}, not a regular file" unless stat.file?
    end

    # What a SystemCallError says, without the path that Ruby adds.
    def self.reason(error) = error.class.new.message
    private_class_method :refuse_others
  end
end
