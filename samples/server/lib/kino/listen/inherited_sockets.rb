# frozen_string_literal: true

require "socket"

require_relative "../errors"
require_relative "address"

module Kino
  # Listening sockets that this process has inherited: from systemd (socket activation) or from the process that it replaces.
  #
  # Raises BindError if one is not a listening stream socket.
  class InheritedSockets
    # +removes_files+: whether the files of Unix sockets among them are this server's to remove at its end.
    def initialize(descriptors, removes_files:)
      # Other programs that this process starts, soon perhaps, do not inherit them.
      @sockets = descriptors.map { |descriptor| Socket.for_fd(descriptor).tap { |socket| socket.close_on_exec = true } }
      @sockets.each { |socket| check(socket) }
      @left = @sockets.dup
      @removes_files = removes_files
    rescue SystemCallError => e
      raise BindError, "an inherited descriptor cannot be used as a socket: #{e.message}"
    end

    # +wanted+, addresses, with the sockets of those that one listens on. Each socket is claimed once.
    def claim(wanted)
      wanted.map do |address|
        socket = @left.find { |one| matches?(address, one.local_address) }
        @left.delete(socket)
        socket ? address.with(socket, removes_file: @removes_files) : address
      end
    end

    # The addresses of all sockets that have not been claimed, with the PROXY protocol if +proxy_protocol+, and TLS for TCP if +tls+.
    def claim_all(tls:, proxy_protocol:)
      @left.shift(@left.size).map { |socket| address_of(socket, tls: tls, proxy_protocol: proxy_protocol).with(socket, removes_file: @removes_files) }
    end

    # Closes the sockets that have not been claimed; yields a sentence about each.
    def drop_others
      @left.each do |socket|
        yield "the inherited socket #{address_of(socket)} is closed, because no address of this server is the same; without " \
              "bind and port, it listens on every inherited socket"
      end
      @left.each(&:close)
    end

    # Called once the server has descriptors of its own.
    def close
      @sockets.each(&:close)
    end

    private

    def check(socket)
      stream = socket.getsockopt(:SOCKET, :TYPE).int == Socket::SOCK_STREAM
      return if stream && socket.getsockopt(:SOCKET, :ACCEPTCONN).int == 1 && (socket.local_address.ip? || socket.local_address.unix?)

      raise BindError, "the inherited descriptor #{socket.fileno} is no listening stream socket; in a .socket unit, use ListenStream="
    end

    def address_of(socket, tls: false, proxy_protocol: false)
      local = socket.local_address
      return Address.new(path: path_of(local), proxy_protocol: proxy_protocol) if local.unix?

      Address.new(host: local.ip_address, port: local.ip_port, tls: tls, proxy_protocol: proxy_protocol)
    end

    # A name in Linux's abstract namespace begins with a zero, and has no other end than that of the address.
    def path_of(local)
      path = local.to_sockaddr.byteslice(2..).force_encoding(Encoding::UTF_8)
      path.start_with?("\0") ? "@#{path[1..]}" : path[/\A[^\0]*/]
    end

    def matches?(address, local)
      return address.unix? && address.path == path_of(local) if local.unix?
      return false if address.unix? || !address.port.zero? && address.port != local.ip_port

      named = Addrinfo.getaddrinfo(address.host, nil, nil, :STREAM).first
      named.ip_address == local.ip_address || every_interface?(named) && every_interface?(local)
    rescue SocketError
      false # the native server says what is wrong with the name
    end

    # [::] usually includes IPv4.
    def every_interface?(address)
      %w[0.0.0.0 ::].include?(address.ip_address)
    end
  end
end
