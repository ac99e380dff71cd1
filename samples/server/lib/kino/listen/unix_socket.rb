# frozen_string_literal: true

require "socket"

require_relative "../errors"

module Kino
  # The file of a Unix socket that this process listens on: taken over from a dead owner, refused if the
  # owner is alive, removed at the end.
  class UnixSocket
    # Removes a stale file before a bind to +path+.
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

    # Records a socket that is now being listened on.
    def initialize(path)
      @path = path
      @inode = File.lstat(path).ino
    end

    # Removes the file, unless it has been replaced by another one.
    def remove
      File.unlink(@path) if File.lstat(@path).ino == @inode
    rescue SystemCallError
      nil
    end
  end
end
