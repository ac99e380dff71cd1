# frozen_string_literal: true

require "socket"

# Ports for servers that are told their port before they listen.
module Ports
  @reserved = []

  # A port that stays free for a server of this test until the process ends. A socket is bound to it that does not listen: so the kernel
  # gives the port to nobody who asks for any, and a server can listen on it all the same, since both have SO_REUSEADDR.
  def self.reserve
    socket = Socket.new(:INET, :STREAM)
    socket.setsockopt(:SOCKET, :REUSEADDR, true)
    socket.bind(Addrinfo.tcp("127.0.0.1", 0))
    @reserved << socket
    socket.local_address.ip_port.tap { socket.close unless RUBY_PLATFORM.include?("linux") } # elsewhere it would keep servers out, too
  end
end
