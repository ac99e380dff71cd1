# frozen_string_literal: true

module Kino
  class RactorAudit
    # Finds a method's uses of state outside of it, from its instructions and those of its blocks.
    class Code
      # The first element of an instruction sequence as an Array.
      MAGIC = "YARVInstructionSequence/SimpleDataFormat"
      TYPE, HANDLERS, BODY = 9, 12, 13
      # In the flags of a call: its receiver is self.
      SELF = 4
      # Other code, with another self.
      DEFINITIONS = %i[definemethod definesmethod defineclass].freeze
      VARIABLES = { getinstancevariable: :reads, setinstancevariable: :sets, getclassvariable: :reads, setclassvariable: :sets,
                    getglobal: :uses, setglobal: :uses }.freeze

      # Constants as [names, line]; an absolute one begins with :"". Variables as [:reads, :@name, line];
      # :sets_once is `@name ||= value`.
      attr_reader :constants, :variables

      # Constants of a module that is known only when the code runs, as in self.class::NAME, as [name, line].
      attr_reader :loose_constants

      # Names of the methods that it calls, and Symbols in it, which may be names of methods; and those whose receiver is
      # self.
      attr_reader :calls, :own_calls

      # The block says whether a variable is known to be true, in which case `@name ||= other` evaluates nothing else.
      def initialize(instructions, &known_true)
        @known_true = known_true
        # Variables by the label up to which they are false.
        @guards = {}
        @constants = []
        @loose_constants = []
        @variables = []
        @calls = []
        @own_calls = []
        sequence = instructions.to_a
        @type = sequence[TYPE]
        read(sequence)
      end

      # Whether it is a block that define_method turned into a method.
      def block?
        @type == :block
      end

      private

      def read(sequence)
        sequence[HANDLERS].each { |handler| read(handler[1]) if sequence?(handler[1]) }
        line = path = variable = skipped_to = nil
        sequence[BODY].each_with_index do |one, index|
          @guards.delete(one)
          next skipped_to = (skipped_to unless one == skipped_to) if skipped_to
          next line = one if one.is_a?(Integer)
          next unless one.is_a?(Array)

          path = constant(one, path, line)
          instruction(one, line)
          skipped_to = guard(variable, one[1], sequence[BODY].drop(index)) if variable && one[0] == :branchif
          variable = one[1] if one[0] == :getinstancevariable
          variable = nil unless %i[getinstancevariable dup].include?(one[0])
        end
      end

      # From a branch to a label further down that is taken if the variable is true: the label if it will be.
      def guard(variable, label, rest)
        return unless rest.include?(label)
        return label if @known_true&.call(variable)

        @guards[label] = variable
        nil
      end

      def instruction(one, line)
        name, *operands = one
        return if DEFINITIONS.include?(name)

        variable(VARIABLES[name], operands[0], line) if VARIABLES.key?(name)
        symbol(operands[0]) if name == :putobject && operands[0].is_a?(Symbol)
        operands.each do |operand|
          if operand.is_a?(Hash) then call(operand) if operand[:mid]
          elsif sequence?(operand) then read(operand)
          end
        end
      end

      def variable(use, name, line)
        use = :sets_once if use == :sets && @guards.value?(name)
        @variables << [use, name, line]
      end

      def call(information)
        @calls << information[:mid]
        @own_calls << information[:mid] if information[:flag].to_i & SELF != 0
      end

      def symbol(name)
        @calls << name
        @own_calls << name
      end

      # Ruby 3.2 has one instruction for A::B; earlier versions have several between reading and filling a cache.
      def constant(one, path, line)
        case one[0]
        when :opt_getconstant_path then @constants << [one[1], line]
        when :opt_getinlinecache then return []
        when :putobject then path&.push(:"") if one[1].equal?(Object)
        when :getconstant then path ? path.push(one[1]) : @loose_constants.push([one[1], line])
        when :opt_setinlinecache
          @constants << [path, line] if path
          return
        end
        path
      end

      def sequence?(operand)
        operand.is_a?(Array) && operand[0] == MAGIC
      end
    end
  end
end
