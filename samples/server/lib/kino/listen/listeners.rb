# frozen_string_literal: true

require_relative "address"
require_relative "../errors"
require_relative "../native"

module Kino
  # The addresses a server listens on, and the files of its Unix sockets.
  class Listeners
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
      bound = @bind.call.map do |host_or_path, port, tls, descriptor|
        @descriptors << descriptor
        port ? Address.new(host: host_or_path, port: port, tls: tls) : Address.new(path: host_or_path)
      end
      @files = @wanted.select(&:removes_file?).map { |address| UnixSocket.new(address.path) }
      bound
    rescue SystemCallError => e
      raise BindError, explain(e)
    end

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
      return "cannot listen on #{places}: #{error.message}" unless error.is_a?(Errno::EADDRINUSE)

      require_relative "port_owner"
      taken = @wanted.lazy.filter_map { |address| (owner = PortOwner.describe(address)) && [address, owner] }.first
      address, owner = taken
      return "cannot listen on #{address.url}: #{owner} has it; stop that, or choose another with #{@option}" if taken

      "cannot listen on #{places}: the address is in use (by a process of another user, perhaps); " \
        "choose another with #{@option}"
    end
  end
end
