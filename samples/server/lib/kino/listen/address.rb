# frozen_string_literal: true

require_relative "../errors"

module Kino
  # One address to listen on: a host and port, the path of a Unix socket, or "@" and a name in Linux's abstract
  # namespace, where a socket has no file.
  class Address
    attr_reader :host, :port, :path

    # The file of a Unix socket: its permissions, nil: determined by the umask; its owner and group, as names or numbers, nil:
    # those of this process.
    attr_reader :mode, :user, :group

    # Whether its connections are encrypted.
    attr_reader :tls

    SCHEMES = { "http" => false, "tcp" => false, "https" => true, "ssl" => true }.freeze

    # The addresses of +texts+; +tls+: whether there are certificates. Raises ConfigError.
    def self.all(texts, port, tls:)
      all = texts.map { |text| parse(text, port, tls: tls) }
      encrypted = all.find(&:tls)
      raise ConfigError, "cannot listen on #{encrypted.url} without a certificate; add --tls cert=FILE,key=FILE" if encrypted && !tls
      raise ConfigError, "tls is set, but no address speaks TLS; write https://HOST:PORT" if tls && !encrypted

      all
    end

    # Parses an argument of --bind; +port+ applies to addresses without one, +tls+ to those that do not say.
    def self.parse(text, port, tls: false)
      refuse(text) if text.match?(/[[:cntrl:]]/)
      scheme, rest = text.match(%r{\A(?:(#{SCHEMES.keys.join("|")})://)?(.*)\z}m).captures
      tls = SCHEMES.fetch(scheme, tls)
      case text
      when %r{\Aunix://(/[^?]+)(?:\?(.+))?\z} then new(path: $1, **of_file($2, text))
      when %r{\Aunix://(@[^?\0]+)\z} then new(path: $1)
      when /\A(?=.*:.*:)[0-9A-Fa-f:.]+\z/ then new(host: text, port: port, tls: tls)
      else with_port(rest, port, tls, text)
      end
    end

    def self.with_port(rest, port, tls, text)
      case rest
      when %r{\A\d+/?\z}, "*", /\A\*:\d+\z/ then refuse(text)
      when %r{\A\[([0-9A-Za-z:.%]+)\](?::(\d+))?/?\z}, %r{\A([^:/\s\[\]]+)(?::(\d+))?/?\z}
        new(host: $1, port: port_number($2, port, text), tls: tls)
      when /[?&](cert|key|verify_mode|ca)=/ then refuse(text, "certificates are given with --tls cert=FILE,key=FILE")
      else refuse(text)
      end
    end

    FILE_PARTS = { "mode" => /\A0?[0-7]{3}\z/, "user" => /\A[\w.][\w.-]*\z/, "group" => /\A[\w.][\w.-]*\z/ }.freeze

    # The part of an address that describes the file of a Unix socket: mode=0660&user=NAME&group=NAME.
    def self.of_file(description, text)
      parts = description.to_s.split("&", -1).map { |part| part.split("=", 2) }
      sound = parts.all? { |name, value| FILE_PARTS[name]&.match?(value.to_s) } && parts.map(&:first).uniq.size == parts.size
      refuse(text) unless sound

      parts.to_h { |name, value| [name.to_sym, name == "mode" ? value.oct : value] }
    end

    # Other servers read some of these forms as an address of every interface, others as a loopback address. The user
    # has to say which.
    def self.refuse(text, advice = nil)
      advice ||= case text
                 when %r{\A(?:\w+://)?(?:\*?:)?(\d+)/?\z}
                   "it names a port and no host; write --port #{$1} for 127.0.0.1, or 0.0.0.0:#{$1} for every interface"
                 when "*" then "write 0.0.0.0 or [::] for every interface"
                 when %r{\A\.{0,2}/} then "for a Unix socket, write unix://#{File.expand_path(text)}"
                 else "write host, host:port, [v6]:port, unix:///path, unix:///path?mode=0660&user=NAME&group=NAME or unix://@name"
                 end
      raise ConfigError, "cannot listen on #{text.inspect}: #{advice}"
    end

    def self.port_number(digits, default, text)
      number = digits ? digits.to_i : default
      raise ConfigError, "cannot listen on #{text.inspect}: a port must be at most 65535" if number > 65_535

      number
    end

    private_class_method :with_port, :of_file

    # A listening socket that this process has inherited, or nil.
    attr_reader :socket

    def initialize(host: nil, port: nil, path: nil, mode: nil, user: nil, group: nil, tls: false, socket: nil, removes_file: true)
      @host = host
      @port = port
      @path = path
      @mode = mode
      @user = user
      @group = group
      @tls = tls
      @socket = socket
      @removes_file = removes_file
      freeze
    end

    def unix?
      !path.nil?
    end

    # Whether only this machine can reach it.
    def loopback?
      unix? || host.casecmp?("localhost") || host == "::1" || host.match?(/\A127(\.\d{1,3}){3}\z/)
    end

    # Whether this server removes the file at its end.
    def removes_file?
      file? && @removes_file
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
      hosts.map { |one| Address.new(host: one, port: number, tls: tls) }
    end

    # This address, where +socket+, an IO, listens already; +removes_file+: whether a Unix socket's file is ours to remove.
    def with(socket, removes_file:)
      Address.new(host: host, port: port, path: path, mode: mode, user: user, group: group, tls: tls, socket: socket, removes_file: removes_file)
    end

    # In the form that the native code takes.
    def to_native
      { host: host, port: port, path: path, mode: mode, user: number_of(user, :getpwnam, :uid, "user"),
        group: number_of(group, :getgrnam, :gid, "group"), tls: tls, socket: socket&.fileno }.compact
    end

    def url
      return "unix://#{path}" if unix?

      "#{tls ? "https" : "http"}://#{host.include?(":") ? "[#{host}]" : host}:#{port}"
    end

    alias to_s url

    private

    # The number that the system has for the name of a user or group.
    def number_of(name, find, number, kind)
      return name&.to_i if name.nil? || name.match?(/\A\d+\z/)

      require "etc"
      Etc.public_send(find, name).public_send(number)
    rescue ArgumentError
      raise ConfigError, "cannot listen on #{url}: this system has no #{kind} #{name}"
    end
  end
end
