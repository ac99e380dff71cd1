# frozen_string_literal: true

module KinoRails
  module Repairs
    # Constants of Rails and of libraries below it that hold unfrozen data: Strings, Arrays, Hashes. Ractors read only frozen
    # data. Constants with other objects stay as they are.
    module PlainConstants
      UPSTREAM = "https://github.com/rails/rails/pull/57825"
      ROOTS = %i[AbstractController ActionController ActionDispatch ActionMailer ActionPack ActionView ActiveJob ActiveModel ActiveSupport
                 Builder ERB Erubi Loofah Mime Rack Rails].freeze
      NAMED = { RbConfig: :CONFIG }.freeze
      # Depth of nested data.
      MOST = 20

      def self.needed? = true

      def self.apply
        NAMED.each { |owner, name| Ractor.make_shareable(Object.const_get(owner).const_get(name)) }
        seen = {}.compare_by_identity
        visit(Builder::XChar.singleton_class, seen) if builder?
        ROOTS.each { |name| visit(Object.const_get(name), seen) if Object.const_defined?(name) && !Object.autoload?(name) }
      end

      # Rails loads it for the first XML.
      def self.builder?
        require "active_support/builder"
        true
      rescue LoadError
        false
      end

      def self.visit(owner, seen)
        return if seen[owner]

        seen[owner] = true
        owner.constants(false).each do |name|
          value = owner.const_get(name, false) unless owner.autoload?(name, false)
          if Module === value then visit(value, seen) if inside?(value, owner)
          elsif plain?(value) then Ractor.make_shareable(value)
          end
        rescue NameError
          nil # an autoload that has never worked
        end
      end

      def self.inside?(value, owner) = Module.instance_method(:name).bind_call(value)&.start_with?("#{owner.name}::")

      def self.plain?(value, depth = 0)
        return true if Ractor.shareable?(value)
        return false if depth > MOST

        case value
        when String, Regexp, Range then value.instance_variables.empty?
        when Array, Set then value.all? { |inner| plain?(inner, depth + 1) }
        when Hash then value.default_proc.nil? && value.all? { |key, inner| plain?(key, depth + 1) && plain?(inner, depth + 1) }
        when Struct then value.to_a.all? { |inner| plain?(inner, depth + 1) }
        else false
        end
      end
      private_class_method :builder?, :visit, :inside?, :plain?
    end
  end
end
