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

      raise Errno::EADDRINUSE, path if listened_at?(path)

      File.unlink(path)
    rescue Errno::ENOENT
      nil
    end

    # Never waits, as a connection to a server that is stuck would.
    def self.listened_at?(path)
      socket = Socket.new(:UNIX, :STREAM)
      socket.connect_nonblock(Socket.sockaddr_un(path))
      true
    rescue Errno::EAGAIN # so many clients wait already
      true
    rescue Errno::ECONNREFUSED
      false
    ensure
      socket&.close
    end
    private_class_method :listened_at?

    # Records a socket that is now being listened on.
    def initialize(path)
      @path = path
      @inode = File.lstat(path).ino
    end

    attr_reader :path

    # Whether the file is there, and not another one.
    def there?
      File.lstat(@path).ino == @inode
    rescue SystemCallError
      false
    end

    # Sets the times of the file, unless it has been replaced.
    def freshen
      File.utime(nil, nil, @path) if there?
    rescue SystemCallError
      nil
    end

    # Removes the file, unless it has been replaced.
    def remove
      File.unlink(@path) if there?
    rescue SystemCallError
      nil
    end
  end
end
