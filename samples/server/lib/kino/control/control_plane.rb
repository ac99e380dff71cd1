# frozen_string_literal: true

require_relative "../config/named_file"
require_relative "../config/secret_type"
require_relative "../errors"
require_relative "../listen/address"
require_relative "../version"

module Kino
  # The control plane of a server, from its options to its addresses. It is native, and answers without Ruby.
  class ControlPlane
    DEFAULT_PORT = 9293
    # Permissions of a Unix socket: every process that can connect can stop the server.
    SOCKET_MODE = 0o600
    # Other users must not be able to read a file with the token.
    FORBIDDEN_MODE = 0o077
    # Of such a file, in bytes.
    LONGEST_FILE = 4096

    # nil without +control_bind+. +inherited+: InheritedSockets, or nil. Raises ConfigError.
    def self.for(settings, inherited = nil)
      new(settings, inherited) if settings[:control_bind]
    end

    # That of one of several processes, for the control plane of all: at a Unix socket of its own. Nil without a +path+.
    def self.of_part(settings, path)
      new(settings, nil, [Address.new(path: path, mode: SOCKET_MODE)], "") if path
    end

    # +addresses+: those that it answers at. +to_bind+: those to be bound, until it is started; each may have a socket.
    attr_reader :addresses
    attr_accessor :to_bind

    def initialize(settings, inherited, wanted = nil, token = nil)
      @settings = settings
      @wanted = wanted || settings.placed(:control_bind) { settings[:control_bind].map { |text| ControlPlane.address(text) } }
      @token = token || ControlPlane.secret(settings)
      settings.placed(:control_bind) { refuse_open_addresses } if @token.empty?
      settings.placed(:control_bind) { @wanted.each(&:check_owner) }
      @to_bind = @wanted.flat_map(&:to_bind)
      @to_bind = inherited.claim(@to_bind) if inherited
    end

    def self.address(text)
      address = Address.parse(text, DEFAULT_PORT)
      raise ConfigError, "control_bind #{text}: the control plane does not speak TLS; write it without https://" if address.tls

      raise ConfigError, "control_bind #{text}: the control plane does not speak the PROXY protocol" if address.proxy_protocol

      address.file? && address.mode.nil? ? Address.new(path: address.path, mode: SOCKET_MODE, user: address.user, group: address.group) : address
    end

    # The secret that control_token is or names; empty if there is none. Raises ConfigError.
    def self.secret(settings)
      value = settings[:control_token]
      return value.to_s unless value && SecretType.file?(value)

      settings.placed(:control_token) { secret_in(value.delete_prefix("@")) }
    end

    def self.secret_in(path)
      NamedFile.open(path) do |file|
        raise ConfigError, "other users can read #{path}; chmod 600 it" unless (file.stat.mode & FORBIDDEN_MODE).zero?

        secret = NamedFile.contents(file, LONGEST_FILE).strip
        return secret if secret.match?(SecretType::SECRET)
      end
      raise ConfigError, "#{path} has no valid token; it takes #{SecretType.new.accepted.sub(/, or.*/, "")}"
    rescue NamedFile::Unusable => e
      raise ConfigError, "cannot read #{path}: #{e.message}"
    end
    private_class_method :secret_in

    # In the form that the native code takes. +mode+, +workers+ and +threads+ are those of the server. +collects+: whether it
    # adds up what other processes answer.
    def to_native(mode, collects: false)
      require_relative "page" # only a server with a control plane needs it
      { binds: @to_bind.map(&:to_native), token: @token, page: ControlPage::TEXT, page_policy: ControlPage::POLICY,
        mode: mode.to_s, version: VERSION, ruby: RUBY_VERSION,
        workers: @settings[:workers], threads: @settings[:threads], started: Time.now.to_f, collects: collects }
    end

    # Binds the addresses and answers until the native server +id+ of +server+ is stopped.
    def start(id, server)
      require_relative "inquiries" # likewise
      open(id)
      Inquiries.new(id, server).start
    end

    # Binds the addresses and answers what needs no Ruby.
    def open(id)
      @listeners = Listeners.new(@to_bind, option: "--control-bind") { Native.start_control(id) }
      @addresses = @settings.placed(:control_bind) { @listeners.open }
    end

    def refuse_open_addresses
      @wanted.each do |address|
        who = if address.unix? then "used by every user of this machine" unless address.file?
              elsif !address.loopback? then "reached from other machines"
              end
        next unless who

        raise ConfigError, "control_bind #{address} can be #{who}, so it needs control_token (or listen on 127.0.0.1 or unix:///path)"
      end
    end
    private :refuse_open_addresses

    def urls = addresses.map(&:url)

    # Copies of the listening sockets, for another process.
    def sockets = @listeners.sockets

    # See Listeners.
    def files = @listeners.files

    # Another process answers at the addresses now.
    def leave(id)
      Native.leave_control(id)
      @listeners.leave_files
    end

    def remove_files
      @listeners&.remove_files
    end
  end
end
