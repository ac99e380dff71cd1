# frozen_string_literal: true

module KinoRails
  module Repairs
    # Values that Rails computes when they are first used and remembers in an object or a class, which a Ractor may not: they
    # are computed now.
    module RememberedValues
      UPSTREAM = "https://github.com/rails/rails/blob/main/railties/lib/rails/application.rb"

      def self.needed? = true

      def self.apply
        credentials
        inflections if defined?(ActiveSupport::Inflector::Inflections)
        time_zones if defined?(ActiveSupport::TimeZone)
        models
        deprecations
      end

      # Without a key there are none, and the application may not need any.
      def self.credentials
        Rails.application.credentials.config
      rescue StandardError
        nil
      end

      def self.inflections
        owner = ActiveSupport::Inflector::Inflections
        locales = I18n.available_locales | [:en]
        all = locales.to_h { |locale| [locale, owner.instance(locale)] }
        all.each_value { |one| one.uncountables.uncountable?("") } # it remembers a pattern
        owner.instance_variable_set(:@__instance__, Ractor.make_shareable(all))
      end

      # Those with a name in Rails. A zone that is not among them is unknown to a Ractor.
      def self.time_zones
        zones = ActiveSupport::TimeZone::MAPPING.to_a.flatten.uniq.to_h { |name| [name, ActiveSupport::TimeZone[name]] }
        ActiveSupport::TimeZone.instance_variable_set(:@lazy_zones_map, Ractor.make_shareable(zones))
      end

      # The names of models, for forms; and the attributes of those without a table.
      def self.models
        return unless defined?(ActiveModel::Naming)

        ObjectSpace.each_object(Class).reject { |model| model.singleton_class? || model.name.nil? }.each do |model|
          model.module_parent_name
          model.model_name if model.singleton_class.include?(ActiveModel::Naming)
          next unless model.include?(ActiveModel::Attributes) && !(defined?(ActiveRecord::Base) && model <= ActiveRecord::Base)

          model.attribute_types
          model._default_attributes.to_hash
          Repairs.share_variable(model, :@default_attributes)
        end
      end

      def self.deprecations
        Rails.application.deprecators.each do |deprecator|
          { :@silence_counter => 0, :@explicitly_allowed_warnings => nil }.each do |name, default|
            deprecator.instance_variable_set(name, ThreadValue.new(name, default).freeze)
          end
          [deprecator.behavior, deprecator.disallowed_behavior, deprecator.disallowed_warnings]
        end
      end

      # As Concurrent::ThreadLocalVar, for the Threads of all Ractors.
      class ThreadValue
        def initialize(name, default)
          @key = :"kino_#{name}_#{object_id}"
          @default = default
        end

        def value = Thread.current.thread_variable?(@key) ? Thread.current.thread_variable_get(@key) : @default

        def value=(value)
          Thread.current.thread_variable_set(@key, value)
        end

        def bind(value)
          before, self.value = self.value, value
          yield
        ensure
          self.value = before
        end
      end
      private_class_method :credentials, :inflections, :time_zones, :models, :deprecations
    end
  end
end
