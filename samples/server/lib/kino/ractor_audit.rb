# frozen_string_literal: true

module Kino
  # Names what keeps an app, or a block and its data, out of Ractors: objects by path, variables, constants and
  # self by file and line. It reads only: nothing is frozen, called, autoloaded or otherwise changed, and whatever it
  # cannot look into it passes over. Needs no native code.
  class RactorAudit
    # Of an app, more findings than this do not help.
    LIMIT = 10

    # What keeps +app+ out of Ractors, as sentences: what it is made of, and what its code reads.
    def self.of_app(app)
      audit = new(limit: LIMIT)
      objects = Objects.new(audit)
      objects.visit(app, "the app")
      audit.of_code { |methods| objects.seen.each { |object| methods.add_object(object) } }
      audit.findings
    end

    attr_reader :findings

    def initialize(limit: nil)
      @limit = limit
      @findings = []
    end

    # The variables that the block uses from outside, and its self.
    def of_proc(block)
      Captures.new(self, block).visit
      self
    end

    # The places in each of `things`, by name, that can be neither shared nor copied and frozen.
    def of(things)
      objects = Objects.new(self, copy: true)
      things.each { |name, thing| objects.visit(thing, name.to_s) }
      self
    end

    # What the methods read that the block adds to a Methods.
    def of_code
      methods = Methods.new(self)
      yield methods
      methods.visit
      self
    end

    def add(finding)
      @findings << finding unless full? || @findings.include?(finding)
    end

    def full?
      @limit && @findings.size >= @limit
    end

    # What Ruby says of any object, whatever its class has made of these methods, BasicObject included.
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
