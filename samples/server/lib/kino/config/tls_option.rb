# frozen_string_literal: true

require_relative "option"

module Kino
  # The option `tls`: certificates with their keys, and whether clients must present one. Its value is an Array of
  # Hashes with the keys of KEYS; files are read later.
  class TLSOption < Option
    KEYS = %i[cert key ca verify].freeze
    VERIFY = %i[none peer force_peer].freeze

    # Several values of one source are several certificates.
    def repeatable?
      true
    end

    def example
      'cert: "server.pem", key: "server.key"'
    end

    def parse(given, where)
      entries = entries_of(given) { |reason| refuse(given, where, reason) }
      entries.each { |entry| check(entry) { |reason| refuse(given, where, reason) } }
      refuse(given, where, "it has no certificate") if entries.none? { |entry| entry[:cert] }
      entries.map { |entry| complete(entry) }
    end

    # Never the text of a key.
    def shown(value)
      value.filter_map { |entry| entry[:cert] && (inline?(entry[:cert]) ? "inline" : entry[:cert]) }.join(" ")
    end

    # Whether it is PEM text rather than the path of a file.
    def self.inline?(text)
      text.include?("-----BEGIN ")
    end

    private

    def inline?(text)
      self.class.inline?(text)
    end

    def entries_of(given, &refuse)
      case given
      when String then given.split(";").map { |text| pairs(text, &refuse) }
      when Hash then [given]
      when Array then given.flat_map { |one| entries_of(one, &refuse) }
      else yield "it is neither a Hash nor a String"
      end
    end

    # "cert=a.pem,key=b.pem"; PEM text has no comma.
    def pairs(text)
      text.split(",").to_h do |pair|
        name, value = pair.split("=", 2)
        yield "#{pair.strip.inspect} is not name=value" unless value
        [name.strip.to_sym, value.strip]
      end
    end

    def check(entry)
      unknown = entry.keys.map(&:to_sym) - KEYS
      yield "it does not know #{unknown.join(", ")}" if unknown.any?
      yield "key is given without cert" if entry[:key] && !entry[:cert]
      entry.each { |name, value| yield "#{name} is not text" unless value.is_a?(String) || value.is_a?(Symbol) }
      yield "verify is one of #{VERIFY.join(", ")}" unless VERIFY.include?((entry[:verify] || :none).to_sym)
    end

    # One file may have both, the certificate and the key.
    def complete(entry)
      made = entry.transform_values(&:to_s)
      made[:key] ||= made[:cert] if made[:cert]
      made[:verify] = made[:verify].to_sym if made[:verify]
      made.freeze
    end

    def refuse(given, where, reason)
      text = given.inspect.include?("-----BEGIN ") ? "" : " #{given.inspect}"
      raise ConfigError, "#{where}: tls#{text}: #{reason}; it takes cert: and key:, each a file or PEM text, and for client " \
                         "certificates ca: and verify: (#{VERIFY.join(", ")})"
    end
  end
end
