# frozen_string_literal: true

require "socket"

# Ports for servers that are told their port before they listen.
module Ports
  @reserved = []

  # A port of 127.0.0.1 that stays free for a server of this test until the process ends. A socket that does not listen is bound to it, so
  # the kernel does not assign the port to a program that binds to port 0. A server can still bind to it: both sockets set SO_REUSEADDR.
  def self.reserve
    socket = Socket.new(:INET, :STREAM)
    socket.setsockopt(:SOCKET, :REUSEADDR, true)
    socket.bind(Addrinfo.tcp("127.0.0.1", 0))
    @reserved << socket
    socket.local_address.ip_port.tap { socket.close unless RUBY_PLATFORM.include?("linux") } # elsewhere it would keep servers out, too
  end
end
