# frozen_string_literal: true

module KinoRails
  module Repairs
    # I18n keeps its configuration in class variables and its translations and caches in Hashes that change. Ractors read a
    # frozen copy of the translations and of the configuration; caches are theirs alone.
    module Translations
      UPSTREAM = "https://github.com/ruby-i18n/i18n/pull/741"
      SETTINGS = %i[default_locale available_locales available_locales_set default_separator exception_handler load_path
                    enforce_available_locales available_locales_initialized? interpolation_patterns].freeze

      def self.needed?
        defined?(I18n) ? Probe.fails? { I18n.t(:probe, default: "probe %{n}", n: 1) } : false
      end

      def self.apply
        I18n.eager_load!
        backend = frozen_backend
        SETTINGS.each { |name| fix(name, copy(I18n.config.public_send(name))) }
        fix(:backend, backend)
        fix(:missing_interpolation_argument_handler, Ractor.shareable_lambda { |key, values, text| raise I18n::MissingInterpolationArgument.new(key, values, text) })
        constants
        I18n.singleton_class.prepend(Keys)
        fallbacks
      end

      # The configuration returns +value+ from now on.
      def self.fix(name, value)
        Ractor.make_shareable(value)
        I18n::Config.define_method(name, &Ractor.shareable_lambda { value })
      end

      def self.frozen_backend
        old = I18n.backend
        new = old.class.new
        { translations: copy(old.translations), initialized: true, eager_loaded: true }.each do |name, value|
          new.instance_variable_set(:"@#{name}", value)
        end
        new.available_locales.each { |locale| new.transliterate(locale, "") } # which it remembers
        Ractor.make_shareable(new)
      end

      def self.copy(value)
        case value
        when Hash then value.to_h { |key, inner| [key, copy(inner)] }
        when Array then value.map { |inner| copy(inner) }
        when String, Set then value.dup
        when Pathname then value.to_s
        when Proc then Ractor.shareable_proc(&value)
        else value
        end
      end

      def self.constants
        I18n.reserved_keys_pattern # it is remembered
        Ractor.make_shareable(I18n::RESERVED_KEYS)
        patterns = I18n.config.interpolation_patterns
        I18n.__send__(:remove_const, :INTERPOLATION_PATTERNS_CACHE)
        I18n.const_set(:INTERPOLATION_PATTERNS_CACHE, Ractor.make_shareable({ patterns => Regexp.union(patterns) }))
      end

      def self.fallbacks
        I18n::Locale::Tag.singleton_class.define_method(:implementation, &Ractor.shareable_lambda { I18n::Locale::Tag::Simple })
        return unless I18n.respond_to?(:fallbacks)

        defaults = Ractor.make_shareable(I18n.fallbacks.defaults.dup)
        of_ractor = Ractor.shareable_lambda { Ractor.store_if_absent(:i18n_fallbacks) { I18n::Locale::Fallbacks.new(defaults) } }
        I18n.define_singleton_method(:fallbacks, &of_ractor)
      end
      private_class_method :fix, :frozen_backend, :copy, :constants, :fallbacks

      # As I18n normalizes keys, with a cache for each Ractor.
      module Keys
        WORDS = { "true" => true, "false" => false }.freeze
        NUMBER = /\A[-+]?([1-9]\d*|0)\z/

        private

        def normalize_key(key, separator)
          cache = Ractor.store_if_absent(:i18n_normalized_keys) { {} }
          (cache[separator] ||= {})[key] ||=
            key.is_a?(Array) ? key.flat_map { |part| normalize_key(part, separator) } : split(key, separator)
        end

        def split(key, separator)
          key.to_s.split(separator).reject(&:empty?).map do |part|
            WORDS.fetch(part) { part.match?(NUMBER) ? part.to_i : part.to_sym }
          end
        end
      end
    end
  end
end
