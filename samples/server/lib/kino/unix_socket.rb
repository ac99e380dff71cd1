# frozen_string_literal: true

require "socket"

require_relative "errors"

module Kino
  # The file of a unix socket that this process listens on: taken over from a dead owner, refused from a
  # live one, removed in the end.
  class UnixSocket
    # Makes the way free for a bind to +path+.
    def self.reclaim(path)
      stat = File.lstat(path)
      raise BindError, "cannot listen on unix://#{path}: the file exists and is not a socket" unless stat.socket?

      begin
        UNIXSocket.open(path).close
      rescue Errno::ECONNREFUSED
        File.unlink(path)
        return
      end
      raise Errno::EADDRINUSE, path
    rescue Errno::ENOENT
      nil
    end

    # Of a socket that is being listened on now.
    def initialize(path)
      @path = path
      @inode = File.lstat(path).ino
    end

    # Removes the file, unless somebody has put another one there since.
    def remove
      File.unlink(@path) if File.lstat(@path).ino == @inode
    rescue SystemCallError
      nil
    end
  end
end
