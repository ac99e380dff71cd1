# frozen_string_literal: true

module Kino
  # Lists what prevents an app, or a block and its data, from being shared with Ractors: objects by path, and
  # variables, constants and self by file and line. It only reads: it does not freeze, call, autoload or change
  # anything, and skips what it cannot inspect. Needs no native code.
  class RactorAudit
    # The maximum number of findings for an app; more do not help.
    LIMIT = 10

    # Sentences that state what prevents sharing +app+: its objects, and the state that its code reads.
    def self.of_app(app)
      in_app(app).findings
    end

    # The audit of +app+.
    def self.in_app(app)
      audit = new(limit: LIMIT)
      objects = Objects.new(audit)
      objects.visit(app, "the app")
      audit.of_code { |methods| objects.seen.each { |object| methods.add_object(object) } }
    end

    attr_reader :findings

    def initialize(limit: nil)
      @limit = limit
      @findings = []
      @kinds = {}
    end

    # The variables that the block captures, and its self.
    def of_proc(block)
      Captures.new(self, block).visit
      self
    end

    # The paths in each of `things`, by name, to objects that can be neither shared nor copied and frozen.
    def of(things)
      objects = Objects.new(self, copy: true)
      things.each { |name, thing| objects.visit(thing, name.to_s) }
      self
    end

    # The unshareable state that the methods read which the block adds to a Methods.
    def of_code
      methods = Methods.new(self)
      yield methods
      methods.visit
      self
    end

    # +kind+ is what the finding is about, such as :constant.
    def add(finding, kind = :object)
      return if full? || @findings.include?(finding)

      @findings << finding
      @kinds[finding] = kind
    end

    # The first finding of each kind, with a remark if there are more.
    def one_of_each_kind
      @findings.group_by { |finding| @kinds[finding] }.values.map do |first, *more|
        more.empty? ? first : "#{first} (and more of this kind)"
      end
    end

    def full?
      @limit && @findings.size >= @limit
    end

    # Ruby's own answers for any object, even if its class overrides these methods or is a BasicObject.
    module Ask
      CLASS = Kernel.instance_method(:class)
      VARIABLES = Kernel.instance_method(:instance_variables)
      VARIABLE = Kernel.instance_method(:instance_variable_get)
      NAME = Module.instance_method(:name)

      module_function

      def class_of(object)
        CLASS.bind_call(object)
      end

      def name_of(mod)
        NAME.bind_call(mod) || "an anonymous #{class_of(mod)}"
      end

      # With the article: "a Hash", "an Object".
      def a(object)
        name = name_of(class_of(object))
        name.start_with?("an ") ? "an object of #{name}" : "#{"aeiou".include?(name[0].downcase) ? "an" : "a"} #{name}"
      end

      # By name.
      def variables_of(object)
        VARIABLES.bind_call(object).to_h { |name| [name, VARIABLE.bind_call(object, name)] }
      end
    end
  end
end

require_relative "ractor_audit/block_code"
require_relative "ractor_audit/captures"
require_relative "ractor_audit/code"
require_relative "ractor_audit/constants"
require_relative "ractor_audit/methods"
require_relative "ractor_audit/objects"
