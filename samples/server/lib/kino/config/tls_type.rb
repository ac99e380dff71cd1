# frozen_string_literal: true

require_relative "option_types"

module Kino
  # The type of the option `tls`: certificates with their keys, and whether clients must present one. A value is an
  # Array of Hashes with the keys of KEYS; files are read later.
  class TLSType < OptionTypes::Type
    KEYS = %i[cert key ca verify].freeze
    VERIFY = %i[none peer force_peer].freeze
    Unacceptable = OptionTypes::Unacceptable

    def metavar = "cert=FILE,key=FILE"

    # Several values of one source are several certificates.
    def repeatable? = true

    def separator = ";"

    def parse(given, _name)
      given = OptionTypes.utf8(given)
      entries = entries_of(given)
      entries.each { |entry| check(entry) }
      refuse("it has no certificate") if entries.none? { |entry| entry[:cert] }
      entries.map { |entry| complete(entry) }
    rescue Unacceptable => e
      shown = contains_key?(given) ? "" : " #{OptionTypes.inspected(given)}"
      raise Unacceptable, "tls#{shown}: #{e.message}; it takes cert: and key:, each a file or PEM text, and for client " \
                          "certificates ca: and verify: (#{VERIFY.join(", ")})"
    end

    # Never the text of a key.
    def show(value)
      value.filter_map { |entry| entry[:cert] && (inline?(entry[:cert]) ? "inline" : entry[:cert]) }.join(" ")
    end

    def text(value)
      value.map { |entry| entry.map { |key, one| "#{key}=#{one}" }.join(",") }.join(separator)
    end

    def literal(value)
      hashes = value.map { |entry| entry.map { |key, one| "#{key}: #{one.inspect}" }.join(", ") }
      hashes.size == 1 ? hashes.first : "[#{hashes.map { |hash| "{ #{hash} }" }.join(", ")}]"
    end

    # Whether it is PEM text rather than the path of a file.
    def self.inline?(text)
      text.include?("-----BEGIN ")
    end

    private

    def inline?(text) = self.class.inline?(text)

    def refuse(reason)
      raise Unacceptable, reason
    end

    # Whether an error message must not show it.
    def contains_key?(given)
      inline?(given.inspect)
    rescue StandardError
      false
    end

    def entries_of(given)
      case given
      when String then given.valid_encoding? ? given.split(separator).map { |text| pairs(text) } : refuse("it is not UTF-8")
      when Hash then [given.transform_keys { |name| key_of(name) }]
      when Array then given.flat_map { |one| entries_of(one) }
      else refuse("it is neither a Hash nor a String")
      end
    end

    def key_of(name)
      String === name || Symbol === name ? name.to_sym : refuse("#{OptionTypes.inspected(name)} is no name")
    end

    # "cert=a.pem,key=b.pem"; PEM text has no comma.
    def pairs(text)
      text.split(",").to_h do |pair|
        name, value = pair.split("=", 2)
        refuse("#{OptionTypes.inspected(pair.strip)} is not name=value") unless value
        [name.strip.to_sym, value.strip]
      end
    end

    def check(entry)
      unknown = entry.keys - KEYS
      refuse("it does not know #{unknown.join(", ")[0, OptionTypes::INSPECTED]}#{near(unknown.first)}") if unknown.any?
      refuse("key is given without cert") if entry[:key] && !entry[:cert]
      entry.each do |name, value|
        refuse("#{name} is not text") unless value.is_a?(Symbol) || value.is_a?(String) && value.valid_encoding? && !value.empty?
      end
      refuse("verify is one of #{VERIFY.join(", ")}") unless VERIFY.include?((entry[:verify] || :none).to_sym)
    end

    def near(name)
      found = Spelling.nearest(name, KEYS.map(&:to_s))
      found ? ", did you mean #{found}?" : ""
    end

    # One file may have both, the certificate and the key.
    def complete(entry)
      made = entry.transform_values(&:to_s)
      made[:key] ||= made[:cert] if made[:cert]
      made[:verify] = made[:verify].to_sym if made[:verify]
      made.freeze
    end
  end
end
