# frozen_string_literal: true

module KinoRails
  module Repairs
    # What a controller wraps parameters in is computed for the first POST, under a Mutex; in a Ractor every POST fails. It is
    # computed for all controllers now.
    module ParameterWrapping
      UPSTREAM = "https://github.com/rails/rails/blob/main/actionpack/lib/action_controller/metal/params_wrapper.rb"

      def self.needed? = all.any? { |options| !Ractor.shareable?(options) }

      def self.apply
        ActionController::ParamsWrapper::Options.prepend(Settled)
        all.each(&:settle)
      end

      def self.all
        return [] unless defined?(ActionController::ParamsWrapper)

        ObjectSpace.each_object(Class).select { |owner| !owner.singleton_class? && owner.respond_to?(:_wrapper_options) }
                   .map(&:_wrapper_options).uniq(&:__id__)
      end
      private_class_method :all

      # The three values that are computed, as they are from now on.
      module Settled
        def settle
          return if frozen?

          klass ? [model, include, name] : (@include_set = @name_set = true)
          remove_instance_variable(:@mutex)
          Ractor.make_shareable(self)
        end

        def include = frozen? ? self[:include] : super
        def name = frozen? ? self[:name] : super
        def model = frozen? ? self[:model] : super
      end
    end
  end
end
