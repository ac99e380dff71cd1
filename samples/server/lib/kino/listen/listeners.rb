# frozen_string_literal: true

require_relative "address"
require_relative "../errors"
require_relative "../native"

module Kino
  # The addresses a server listens on, and the files of its Unix sockets.
  class Listeners
    # Linux: net.ipv4.ip_unprivileged_port_start can lower it.
    UNPRIVILEGED_PORT = 1024

    # The block binds +wanted+ and returns what it has bound; +option+ is the one to choose another address with.
    def initialize(wanted, option: "--port", &bind)
      @wanted = wanted
      @option = option
      @bind = bind
      @files = []
      @descriptors = []
    end

    # Binds all of them; returns the actual addresses, with the ports that the system chose.
    def open
      # Only the files of Unix sockets need Ruby's socket library.
      require_relative "unix_socket" if @wanted.any?(&:file?)
      @wanted.each { |address| UnixSocket.reclaim(address.path) if address.file? && !address.socket }
      bound = @wanted.zip(@bind.call).map do |wanted, (host_or_path, port, tls, descriptor)|
        @descriptors << descriptor
        place = port ? { host: host_or_path, port: port, tls: tls } : { path: host_or_path }
        Address.new(**place, proxy_protocol: wanted.proxy_protocol)
      end
      @files = @wanted.select(&:removes_file?).map { |address| UnixSocket.new(address.path) }
      bound
    rescue SystemCallError => e
      raise BindError, explain(e)
    end

    # UnixSockets: those whose files this server removes.
    attr_reader :files

    # Copies of the listening sockets, for another process. Only while the server accepts connections.
    def sockets
      @descriptors.map do |descriptor|
        original = IO.for_fd(descriptor, autoclose: false)
        original.dup
      end
    end

    # Another process serves the addresses now.
    def leave_files
      @files = []
    end

    def remove_files
      @files.each(&:remove)
    end

    private

    def explain(error)
      places = @wanted.map(&:url).join(", ")
      return native_sentence(error, places) unless error.is_a?(Errno::EADDRINUSE)

      require_relative "port_owner"
      taken = @wanted.lazy.filter_map { |address| (owner = PortOwner.describe(address)) && [address, owner] }.first
      address, owner = taken
      return "cannot listen on #{address.url}: #{owner} has it; stop that, or choose another with #{@option}" if taken

      "cannot listen on #{places}: the address is in use (by a process of another user, perhaps); " \
        "choose another with #{@option}"
    end

    # The native code names the one of several addresses, as in "Permission denied - kino: cannot listen on 127.0.0.1:80".
    def native_sentence(error, places)
      reason, sentence = error.message.split(" - kino: ", 2)
      return "cannot listen on #{places}: #{error.message}" unless sentence
      return sentence if sentence.start_with?("cannot resolve")

      "#{sentence}: #{reason}#{advice(error, sentence)}"
    end

    def advice(error, sentence)
      port = sentence[/:(\d+)\z/, 1]
      case error
      when Errno::EADDRNOTAVAIL then "; no interface of this machine has it" if port
      when Errno::ENOENT then "; its directory must exist" unless port
      when Errno::EACCES
        return "; its directory must be writable" unless port
        return unless port.to_i < UNPRIVILEGED_PORT

        "; ports below #{UNPRIVILEGED_PORT} need root or CAP_NET_BIND_SERVICE: choose another with #{@option}, or let systemd open the " \
          "socket (docs/operations.md)"
      end
    end
  end
end
