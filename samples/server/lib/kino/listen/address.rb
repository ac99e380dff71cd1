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

    # Whether its connections are encrypted; whether those of trusted proxies begin with a header of the PROXY protocol.
    attr_reader :tls, :proxy_protocol

    # The options that errors of the system about them may be about.
    OPTIONS = %i[bind port].freeze

    SCHEMES = { "http" => false, "tcp" => false, "https" => true, "ssl" => true }.freeze

    # Those that the settings of a server ask for. Raises ConfigError.
    def self.of(settings)
      settings.placed(*OPTIONS, :tls, :proxy_protocol) do
        wanted = all(settings[:bind], settings[:port], tls: !settings[:tls].nil?, proxy_protocol: settings[:proxy_protocol])
        believable(wanted.each(&:check_owner), settings)
      end
    end

    # +addresses+, if trusted_proxies says who may send the PROXY protocol to them. Raises ConfigError.
    def self.believable(addresses, settings)
      marked = addresses.find(&:proxy_protocol) unless settings[:trusted_proxies]
      return addresses unless marked

      raise ConfigError, "proxy_protocol of #{marked.url}: trusted_proxies must say from which addresses its header is accepted"
    end

    # The addresses of +texts+; +tls+: whether there are certificates; +proxy_protocol+ applies to those that do not say. Raises ConfigError.
    def self.all(texts, port, tls:, proxy_protocol:)
      all = texts.map { |text| parse(text, port, tls: tls, proxy_protocol: proxy_protocol) }
      encrypted = all.find(&:tls)
      raise ConfigError, "cannot listen on #{encrypted.url} without a certificate; add --tls cert=FILE,key=FILE" if encrypted && !tls
      raise ConfigError, "tls is set, but no address speaks TLS; write https://HOST:PORT" if tls && !encrypted

      all
    end

    # Parses an argument of --bind; +port+ applies to addresses without one, +tls+ and +proxy_protocol+ to those that do not say.
    def self.parse(text, port, tls: false, proxy_protocol: false)
      refuse(text) if text.match?(/[[:cntrl:]]/)
      place, description = text.match(/\A([^?]*)(?:\?(.*))?\z/).captures
      scheme, rest = place.match(%r{\A(?:(#{SCHEMES.keys.join("|")})://)?(.*)\z}).captures
      file = place.match?(%r{\Aunix:///.}) ? FILE_PARAMETERS : {}
      parameters = { proxy_protocol: proxy_protocol, **parameters(description, text, file) }
      case place
      when %r{\Aunix://([/@].+)\z} then new(path: $1, **parameters)
      when /\A(?=.*:.*:)[0-9A-Fa-f:.]+\z/ then new(host: place, port: port, tls: tls, **parameters)
      else with_port(rest, port, text, tls: SCHEMES.fetch(scheme, tls), **parameters)
      end
    end

    def self.with_port(rest, port, text, **parameters)
      case rest
      when %r{\A\d+/?\z}, "*", /\A\*:\d+\z/ then refuse(text)
      when %r{\A\[([0-9A-Za-z:.%]+)\](?::(\d+))?/?\z}, %r{\A([^:/\s\[\]?&=]+)(?::(\d+))?/?\z}
        new(host: $1, port: port_number($2, port, text), **parameters)
      else refuse(text)
      end
    end

    # What an address may say about itself behind a question mark: always, and if it is the file of a Unix socket.
    PARAMETERS = { "proxy_protocol" => /\A(?:true|false)\z/ }.freeze
    FILE_PARAMETERS = { "mode" => /\A0?[0-7]{3}\z/, "user" => /\A[\w.][\w.-]*\z/, "group" => /\A[\w.][\w.-]*\z/ }.freeze

    # Those of a +description+ such as "mode=0660&user=NAME", by name.
    def self.parameters(description, text, file)
      return {} unless description

      refuse(text, "certificates are given with --tls cert=FILE,key=FILE") if description.match?(/(?:\A|&)(cert|key|verify_mode|ca)=/)
      pairs = description.split("&", -1).map { |pair| pair.split("=", 2) }
      known = PARAMETERS.merge(file)
      refuse(text) unless !pairs.empty? && pairs.all? { |name, value| known[name]&.match?(value.to_s) } && pairs.map(&:first).uniq.size == pairs.size

      pairs.to_h { |name, value| [name.to_sym, value_of(name, value)] }
    end

    def self.value_of(name, value)
      case name
      when "mode" then value.oct
      when "proxy_protocol" then value == "true"
      else value
      end
    end

    # Other servers read some of these forms as an address of every interface, others as a loopback address. The user
    # has to say which.
    def self.refuse(text, advice = nil)
      advice ||= case text
                 when %r{\A(?:\w+://)?(?:\*?:)?(\d+)/?\z}
                   "it names a port and no host; write --port #{$1} for 127.0.0.1, or 0.0.0.0:#{$1} for every interface"
                 when "*" then "write 0.0.0.0 or [::] for every interface"
                 when %r{\A\.{0,2}/[^\0]*\z} then "for a Unix socket, write unix://#{File.expand_path(text)}"
                 else "write host, host:port, [v6]:port, unix:///path or unix://@name, where ?proxy_protocol=true may follow, and " \
                      "?mode=0660&user=NAME&group=NAME after a path"
                 end
      raise ConfigError, "cannot listen on #{text.inspect}: #{advice}"
    end

    def self.port_number(digits, default, text)
      number = digits ? digits.to_i : default
      raise ConfigError, "cannot listen on #{text.inspect}: a port must be at most 65535" if number > 65_535

      number
    end

    private_class_method :all, :with_port, :parameters, :value_of

    # A listening socket that this process has inherited, or nil.
    attr_reader :socket

    def initialize(host: nil, port: nil, path: nil, mode: nil, user: nil, group: nil, tls: false, proxy_protocol: false, same_port: false,
                   socket: nil, removes_file: true)
      @host = host
      @port = port
      @path = path
      @mode = mode
      @user = user
      @group = group
      @tls = tls
      @proxy_protocol = proxy_protocol
      @same_port = same_port
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

      hosts.map { |one| Address.new(host: one, port: port, tls: tls, proxy_protocol: proxy_protocol, same_port: one != hosts.first) }
    end

    # This address, where +socket+, an IO, listens already; +removes_file+: whether a Unix socket's file is ours to remove.
    def with(socket, removes_file:)
      Address.new(host: host, port: port, path: path, mode: mode, user: user, group: group, tls: tls, proxy_protocol: proxy_protocol,
                  socket: socket, removes_file: removes_file)
    end

    # In the form that the native code takes.
    def to_native
      { host: host, port: port, path: path, mode: mode, **owner, tls: tls, proxy_protocol: proxy_protocol,
        same_port: @same_port, socket: socket&.fileno }.compact
    end

    # Raises ConfigError unless this system has the user and the group.
    def check_owner = owner

    def url
      return "unix://#{path}" if unix?

      "#{tls ? "https" : "http"}://#{host.include?(":") ? "[#{host}]" : host}:#{port}"
    end

    alias to_s url

    private

    def owner
      { user: number_of(user, :getpwnam, :uid, "user"), group: number_of(group, :getgrnam, :gid, "group") }
    end

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
