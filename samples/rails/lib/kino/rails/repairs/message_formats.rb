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
        defined?(ActiveSupport::Messages::SerializerWithFallback) ? undecided.any? : false
      end

      # The formats that have not remembered yet whether Message Pack is available.
      def self.undecided
        NAMES.map { |name| ActiveSupport::Messages::SerializerWithFallback.const_get(name) }
             .select { |format| format.private_method_defined?(:available?) && !format.instance_variable_defined?(:@available) }
      end
      private_class_method :undecided

      # Active Support complains on standard error when there is no Message Pack.
      def self.apply
        stderr, $stderr = $stderr, StringIO.new
        undecided.each { |format| format.__send__(:available?) }
      ensure
        $stderr = stderr
      end
    end
  end
end
