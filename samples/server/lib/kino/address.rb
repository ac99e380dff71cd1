# frozen_string_literal: true

require_relative "errors"

module Kino
  # One address to listen on: a host and port, or the path of a unix socket.
  class Address
    attr_reader :host, :port, :path

    # Reads what --bind accepts; +port+ is for those that name none.
    def self.parse(text, port)
      case text
      when %r{\Aunix://(/.+)\z} then new(path: $1)
      when %r{\A(?:tcp://|http://)?\[([0-9A-Za-z:.%]+)\](?::(\d+))?/?\z}, %r{\A(?:tcp://|http://)?([^:/\s\[\]]+)(?::(\d+))?/?\z}
        new(host: $1, port: port_number($2, port, text))
      when /\A[0-9A-Fa-f:.]+\z/ then new(host: text, port: port)
      else
        raise ConfigError, "cannot listen on #{text.inspect}: write host, host:port, [v6]:port or unix:///path"
      end
    end

    def self.port_number(digits, default, text)
      number = digits ? digits.to_i : default
      raise ConfigError, "cannot listen on #{text.inspect}: a port is at most 65535" if number > 65_535

      number
    end

    def initialize(host: nil, port: nil, path: nil)
      @host = host
      @port = port
      @path = path
      freeze
    end

    def unix?
      !path.nil?
    end

    # As the native side wants it.
    def to_native
      unix? ? [path] : [host, port]
    end

    def url
      return "unix://#{path}" if unix?

      "http://#{host.include?(":") ? "[#{host}]" : host}:#{port}"
    end

    alias to_s url
  end
end
