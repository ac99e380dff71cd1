# frozen_string_literal: true

require_relative "../errors"
require_relative "recorder"

module Kino
  module PumaConfig
    # Translates addresses. Each function returns lines of kino.rb and a sentence about what was left out, or nil; its block
    # writes the line of an option.
    module Addresses
      # Parameters of Puma's URLs and of ssl_bind that kino has no use for.
      IGNORED = { "backlog" => "the system's limit applies", "low_latency" => "kino sends at once", "reuse" => "sessions are resumed",
                  "no_tlsv1" => "TLS 1.2 is the oldest version", "no_tlsv1_1" => "TLS 1.2 is the oldest version",
                  "ssl_cipher_filter" => "the ciphers are fixed", "ssl_ciphersuites" => "the ciphers are fixed",
                  "verification_flags" => "certificates of clients are always verified completely" }.freeze
      OF_TLS = %w[cert key ca verify_mode cert_pem key_pem].freeze
      FULL_MODE = 0o777

      # The argument of bind. +expression+: how it is written, if it reads the environment. +plain+: see http.
      def self.of_url(url, expression, plain, &set)
        raise ConfigError, "an address is a text, not #{url.inspect}" unless url.is_a?(String)

        scheme, rest, query = url.match(%r{\A(\w+)://([^?]*)(?:\?(.*))?\z}m)&.captures
        raise ConfigError, "#{url.inspect} is no address of Puma" unless scheme

        parameters = query.to_s.split("&").to_h { |pair| pair.split("=", 2).then { |name, value| [name, value.to_s] } }
        case scheme
        when "unix" then unix(rest, parameters, &set)
        when "ssl" then tls(rest, parameters, &set)
        when "tcp" then [[expression && parameters.empty? ? "bind #{expression}" : set.call(:bind, http(rest, plain))], left_out(parameters)]
        else raise ConfigError, "#{url.inspect} is no address that kino knows"
        end
      end

      def self.of_ssl_bind(host, port, options = {}, &set)
        tls("#{bracketed(host.to_s)}:#{Integer(port)}", options.reject { |_, value| value.nil? }.to_h { |name, value| [name.to_s, value.to_s] }, &set)
      end

      def self.bracketed(host)
        host.to_s.count(":") > 1 && !host.start_with?("[") ? "[#{host}]" : host.to_s
      end

      # An address that does not speak TLS; +plain+: whether that must be said, because others do.
      def self.http(address, plain)
        "#{"http://" if plain}#{address}"
      end

      # Puma's umask takes permissions away from all.
      def self.unix(path, parameters, &set)
        mode = parameters.delete("mode")&.oct
        umask = parameters.delete("umask")&.oct
        mode ||= FULL_MODE & ~umask if umask
        path = File.expand_path(path) unless path.start_with?("/", "@")
        raise ConfigError, "kino does not set the mode of an abstract socket" if mode && path.start_with?("@")

        [[set.call(:bind, "unix://#{path}#{format("?mode=0%03o", mode & FULL_MODE) if mode}")], left_out(parameters)]
      end

      def self.tls(address, parameters, &set)
        given = OF_TLS.to_h { |name| [name, parameters.delete(name)] }.compact
        code = [set.call(:bind, "https://#{address}")]
        inline = given.key?("cert_pem") || given.key?("key_pem")
        return [code, "the text of a key is not copied; add `tls cert: FILE, key: FILE`"] if inline
        return [code, "it names no certificate; add `tls cert: FILE, key: FILE`"] unless given["cert"]

        [code << set.call(:tls, certificate(given)), left_out(parameters)]
      end

      def self.certificate(given)
        verify = given.fetch("verify_mode", "none")
        made = { cert: given["cert"], key: given["key"] }.compact
        verify == "none" ? made : made.merge(ca: given["ca"], verify: verify.to_sym).compact
      end

      def self.left_out(parameters)
        return if parameters.empty?

        parameters.keys.map { |name| "#{name} is left out#{": #{IGNORED[name]}" if IGNORED[name]}" }.join("; ")
      end
      private_class_method :unix, :tls, :certificate, :left_out
    end
  end
end
