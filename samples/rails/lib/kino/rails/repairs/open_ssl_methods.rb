# frozen_string_literal: true

module KinoRails
  module Repairs
    # OpenSSL::Digest::SHA256 and its like, which every cookie needs, get their methods from blocks, which Ractors may not
    # call. The same methods, written out.
    module OpenSSLMethods
      UPSTREAM = "https://github.com/ruby/openssl/pull/1053"
      DIGESTS = %i[MD4 MD5 RIPEMD160 SHA1 SHA224 SHA256 SHA384 SHA512].freeze
      CIPHERS = %i[AES CAST5 BF DES IDEA RC2 RC4 RC5].freeze
      KEY_BITS = %w[128 192 256].freeze

      def self.needed?
        defined?(OpenSSL::Digest::SHA256) ? digests_fail? || ciphers_fail? : false
      end

      def self.digests_fail? = Probe.fails? { OpenSSL::Digest::SHA256.hexdigest("probe") }

      def self.ciphers_fail? = Probe.fails? { OpenSSL::Cipher::AES256.new }

      def self.apply
        apply_to_digests if digests_fail?
        apply_to_ciphers if ciphers_fail?
      end

      def self.apply_to_digests
        DIGESTS.each { |name| digest(OpenSSL::Digest.const_get(name), name) if OpenSSL::Digest.const_defined?(name, false) }
      end

      def self.apply_to_ciphers
        CIPHERS.each { |name| cipher(OpenSSL::Cipher.const_get(name), name) if OpenSSL::Cipher.const_defined?(name, false) }
        KEY_BITS.each { |bits| aes(OpenSSL::Cipher.const_get("AES#{bits}"), bits) }
      end

      def self.digest(owner, name)
        owner.class_eval(<<~RUBY, __FILE__, __LINE__ + 1)
          def initialize(data = nil) = super(#{name.to_s.inspect}, data)
          def self.digest(data) = new.digest(data)
          def self.hexdigest(data) = new.hexdigest(data)
        RUBY
      end

      def self.cipher(owner, name)
        owner.class_eval(<<~RUBY, __FILE__, __LINE__ + 1)
          def initialize(*parts) = super([#{name.to_s.inspect}, *parts].join("-").downcase)
        RUBY
      end

      def self.aes(owner, bits)
        owner.class_eval(<<~RUBY, __FILE__, __LINE__ + 1)
          def initialize(mode = "CBC") = super("aes-#{bits}-\#{mode}".downcase)
        RUBY
      end
      private_class_method :digests_fail?, :ciphers_fail?, :apply_to_digests, :apply_to_ciphers, :digest, :cipher, :aes
    end
  end
end
