# frozen_string_literal: true

module KinoRails
  module Repairs
    # A callback freezes its conditions (only:, if:) when blocks are made shareable, and the next one with the same
    # conditions modifies them: FrozenError while the application is loaded.
    module CallbackConditions
      UPSTREAM = "https://github.com/rails/rails/blob/main/activesupport/lib/active_support/callbacks.rb"

      def self.needed?
        Class.new do
          include ActiveSupport::Callbacks

          define_callbacks :probe
          set_callback :probe, :before, :itself, if: [:itself].freeze
        end
        false
      rescue FrozenError
        true
      end

      def self.apply = ActiveSupport::Callbacks::Callback.prepend(Copies)

      module Copies
        private

        def check_conditionals(conditionals) = super(conditionals.frozen? ? conditionals.dup : conditionals)
      end
    end
  end
end
