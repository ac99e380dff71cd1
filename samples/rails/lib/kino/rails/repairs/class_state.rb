# frozen_string_literal: true

module KinoRails
  module Repairs
    # Instance variables and constants of Rails' classes that a request reads, and that Rails does not freeze itself.
    module ClassState
      UPSTREAM = "https://github.com/rails/rails/pull/58640"
      VARIABLES = {
        "ActionView::PathRegistry" => %i[@file_system_resolvers @view_paths_by_class],
        "Rails" => %i[@_env],
        "Rails::BacktraceCleaner" => %i[@root]
      }.freeze
      # Class attributes, by the name of their instance variable in each class that has one.
      ATTRIBUTES = %i[@__class_attr_config @__class_attr_etaggers @__class_attr_rescue_handlers @__class_attr_backtrace_cleaner].freeze
      CONSTANTS = %w[Rails::VERSION::STRING ActionView::AbstractRenderer::RenderedTemplate::EMPTY_SPACER].freeze

      def self.needed? = true

      def self.apply
        Rails::BacktraceCleaner.root if defined?(Rails::BacktraceCleaner) # remembered in @root
        variables.each { |owner, name| Repairs.share_variable(owner, name) }
        CONSTANTS.each { |name| Ractor.make_shareable(Object.const_get(name)) if Object.const_defined?(name) }
      end

      def self.variables
        named = VARIABLES.select { |name,| Object.const_defined?(name) }
                         .flat_map { |name, variables| variables.map { |variable| [Object.const_get(name), variable] } }
        named + attributes
      end

      def self.attributes
        ObjectSpace.each_object(Class).reject(&:singleton_class?).flat_map do |owner|
          (owner.instance_variables & ATTRIBUTES).map { |name| [owner, name] }
        end
      end
      private_class_method :variables, :attributes
    end
  end
end
