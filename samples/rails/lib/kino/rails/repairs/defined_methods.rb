# frozen_string_literal: true

module KinoRails
  module Repairs
    # Ractors may not call a method whose body is a block that was not made shareable: define_method in the modules named
    # here, such as the renderers (render json:).
    module DefinedMethods
      UPSTREAM = "https://github.com/rails/rails/blob/main/actionpack/lib/action_controller/metal/renderers.rb"
      MODULES = %w[ActionController::Renderers].freeze

      def self.needed? = !Module.include?(Hook)

      def self.apply = Module.prepend(Hook)

      module Hook
        def define_method(name, *body, &block)
          given = body.first || block
          return super unless MODULES.include?(self.name) && given.instance_of?(Proc)

          super(name, &Ractor.shareable_proc(&given))
        rescue Ractor::IsolationError, ArgumentError
          super
        end
      end
    end
  end
end
