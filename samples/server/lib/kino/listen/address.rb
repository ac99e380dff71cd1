# frozen_string_literal: true

require_relative "../errors"

module Kino
  # One address to listen on: a host and port, the path of a Unix socket, or "@" and a name in Linux's abstract
  # namespace, where a socket has no file.
  class Address
    attr_reader :host, :port, :path

    # Permissions of a Unix socket's file; nil: determined by the umask.
    attr_reader :mode

    # Parses an argument of --bind; +port+ applies to addresses without one.
    def self.parse(text, port)
      case text
      when %r{\Aunix://(/[^?]+)(?:\?mode=(0?[0-7]{3}))?\z} then new(path: $1, mode: $2&.oct)
      when %r{\Aunix://(@[^?\0]+)\z} then new(path: $1)
      when %r{\A(?:tcp://|http://)?\d+/?\z}, "*", %r{\A\*:\d+\z} then refuse(text)
      when %r{\A(?:tcp://|http://)?\[([0-9A-Za-z:.%]+)\](?::(\d+))?/?\z}, %r{\A(?:tcp://|http://)?([^:/\s\[\]]+)(?::(\d+))?/?\z}
        new(host: $1, port: port_number($2, port, text))
      when /\A(?=.*:.*:)[0-9A-Fa-f:.]+\z/ then new(host: text, port: port)
      else refuse(text)
      end
    end

    # Other servers read some of these forms as an address of every interface, others as a loopback address. The user
    # has to say which.
    def self.refuse(text)
      advice = case text
               when %r{\A(?:tcp://|http://)?(?:\*?:)?(\d+)/?\z}
                 "it names a port and no host; write --port #{$1} for 127.0.0.1, or 0.0.0.0:#{$1} for every interface"
               when "*" then "write 0.0.0.0 or [::] for every interface"
               when %r{\A\.{0,2}/} then "for a Unix socket, write unix://#{File.expand_path(text)}"
               else "write host, host:port, [v6]:port, unix:///path, unix:///path?mode=0660 or unix://@name"
               end
      raise ConfigError, "cannot listen on #{text.inspect}: #{advice}"
    end

    def self.port_number(digits, default, text)
      number = digits ? digits.to_i : default
      raise ConfigError, "cannot listen on #{text.inspect}: a port must be at most 65535" if number > 65_535

      number
    end

    def initialize(host: nil, port: nil, path: nil, mode: nil)
      @host = host
      @port = port
      @path = path
      @mode = mode
      freeze
    end

    def unix?
      !path.nil?
    end

    # Whether listening creates a file.
    def file?
      unix? && !path.start_with?("@")
    end

    # The addresses to bind: localhost stands for both loopback addresses, if this machine has them, with one port.
    def to_bind
      return [self] unless host&.casecmp?("localhost")

      require "socket"
      loopbacks = Socket.ip_address_list.select { |one| one.ipv4_loopback? || one.ipv6_loopback? }
      hosts = loopbacks.map(&:ip_address).select { |one| %w[127.0.0.1 ::1].include?(one) }
      return [self] if hosts.empty?

      # The second address needs the port that the system chooses for the first.
      number = port.zero? ? TCPServer.open(hosts.first, 0) { |socket| socket.addr[1] } : port
      hosts.map { |one| Address.new(host: one, port: number) }
    end

    # In the form that the native code takes.
    def to_native
      unix? ? [path, mode].compact : [host, port]
    end

    def url
      return "unix://#{path}" if unix?

      "http://#{host.include?(":") ? "[#{host}]" : host}:#{port}"
    end

    alias to_s url
  end
end
