# frozen_string_literal: true

require "tmpdir"

require_relative "../errors"

module Kino
  # A directory for the Unix sockets by which the processes of a server find each other.
  module TemporaryDirectory
    # Creates one, below the directory for temporary files if the path of that has no more than +longest+ bytes, else below /tmp.
    # Returns its path; its creator removes it. Raises Error if there is no place for it.
    def self.create(longest)
      place = Dir.tmpdir
      Dir.mktmpdir("kino", place.bytesize > longest ? "/tmp" : place)
    rescue ArgumentError, SystemCallError => e # ArgumentError: #tmpdir has found none
      raise Error, "several processes need a directory for temporary files, and none can be written to (#{e.message}): set TMPDIR to one that can"
    end
  end
end
