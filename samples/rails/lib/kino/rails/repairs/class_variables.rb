# frozen_string_literal: true

module KinoRails
  module Repairs
    # Ruby 4.0 lets no Ractor read a class variable; 4.1 lets it read those with shareable values. The readers that Rails
    # defines with mattr_accessor and its like return what they would return now.
    module ClassVariables
      UPSTREAM = "https://github.com/rails/rails/pull/58620"
      NAMESPACES = /\A(AbstractController|Action(Controller|Dispatch|Mailer|Text|View)|Active(Job|Model|Record|Storage|Support)|Rails)(::|\z)/
      NAME = Module.instance_method(:name)

      def self.needed? = !Probe.class_variables_readable?

      def self.apply
        ObjectSpace.each_object(Module).to_a.each do |owner|
          name = NAME.bind_call(owner)
          owner.class_variables(false).each { |variable| share(owner, variable) } if name&.match?(NAMESPACES)
        end
        direct_uses
      end

      def self.share(owner, variable)
        value = owner.class_variable_get(variable)
        value = Ractor.shareable_proc(&value) if value.instance_of?(Proc) # such as field_error_proc
        return unless Ractor.shareable?(value)

        define(owner, variable, value)
      rescue Ractor::IsolationError, ArgumentError
        nil
      end

      def self.define(owner, variable, value)
        reader = Ractor.shareable_lambda { value }
        [owner.singleton_class, owner].each do |place|
          name = variable.to_s.delete_prefix("@@").to_sym
          place.define_method(name, &reader) if only_reads?(place, name, variable)
        end
      end

      # Whether the method does nothing else.
      def self.only_reads?(place, name, variable)
        return false unless place.method_defined?(name, false)

        code = RubyVM::InstructionSequence.of(place.instance_method(name)) or return false
        code.to_a.last.grep(Array).map { |instruction| instruction.first(2) } == [[:getclassvariable, variable], [:leave]]
      end

      # Methods on the path of a request that read variables themselves.
      def self.direct_uses
        if defined?(ActionDispatch::ExceptionWrapper)
          ActionDispatch::ExceptionWrapper.class_eval do
            def self.status_code_for_exception(class_name) = ActionDispatch::Response.rack_status_code(rescue_responses[class_name])
            def rescue_template = self.class.rescue_templates[@exception_class_name]
            def rescue_response? = self.class.rescue_responses.key?(exception.class.name)
          end
        end
        return unless defined?(ActionDispatch::Http::URL)

        ActionDispatch::Http::URL.singleton_class.prepend(HostWithLength)
        ActionDispatch::Http::URL.class_eval do
          def domain(tld_length = ActionDispatch::Http::URL.tld_length) = ActionDispatch::Http::URL.extract_domain(host, tld_length)
          def subdomains(tld_length = ActionDispatch::Http::URL.tld_length) = ActionDispatch::Http::URL.extract_subdomains(host, tld_length)
          def subdomain(tld_length = ActionDispatch::Http::URL.tld_length) = ActionDispatch::Http::URL.extract_subdomain(host, tld_length)
        end
      end

      module HostWithLength
        private

        def normalize_host(host, options) = super(host, { tld_length: tld_length }.merge(options.compact))
      end
      private_class_method :share, :define, :only_reads?, :direct_uses
    end
  end
end
