# frozen_string_literal: true

require "stringio"

module KinoRails
  module Repairs
    # Whether Message Pack is available is remembered in a module when the first cookie is read, which a Ractor may not:
    # without this, it silently drops the session.
    module MessageFormats
      UPSTREAM = "https://github.com/rails/rails/blob/main/activesupport/lib/active_support/messages/serializer_with_fallback.rb"
      NAMES = %i[MessagePackWithFallback MessagePackWithFallbackAllowMarshal].freeze

      def self.needed?
        defined?(ActiveSupport::Messages::SerializerWithFallback) && !remembered.empty? ? true : false
      end

      def self.remembered
        NAMES.map { |name| ActiveSupport::Messages::SerializerWithFallback.const_get(name) }
             .select { |format| format.private_method_defined?(:available?) && !format.instance_variable_defined?(:@available) }
      end
      private_class_method :remembered

      # Active Support complains on standard error when there is no Message Pack.
      def self.apply
        stderr, $stderr = $stderr, StringIO.new
        remembered.each { |format| format.__send__(:available?) }
      ensure
        $stderr = stderr
      end
    end
  end
end
