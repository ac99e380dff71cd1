# frozen_string_literal: true

module Kino
  class RactorAudit
    # The variables and the self that a block captures.
    class Captures
      def initialize(audit, block)
        @audit = audit
        @block = block
        instructions = RubyVM::InstructionSequence.of(block)
        # Without instructions, it is a method or a symbol, which capture nothing.
        @code = instructions && BlockCode.new(instructions.disasm, block.source_location.first)
      end

      # Captured variables that are not shareable, by name.
      def unshareable
        return {} unless @code

        values = @code.captured.keys.to_h { |name| [name, @block.binding.local_variable_get(name)] }
        values.reject { |_, value| Ractor.shareable?(value) }
      rescue StandardError # a block of a method has no binding
        {}
      end

      def visit
        return unless @code

        unshareable.each do |name, value|
          @audit.add("#{@code.captured[name]}: the block uses #{name}, #{Ask.a(value)}, which is not shareable")
        end
        @code.assigned.each { |name, place| @audit.add("#{place}: the block assigns #{name}, a variable from outside it") }
        receiver = @block.binding.receiver
        self_of(receiver) unless Ractor.shareable?(receiver)
      end

      private

      def self_of(receiver)
        if Ractor.respond_to?(:shareable_proc)
          place = @code.self_use(receiver) or return
          @audit.add("#{place}: the block uses self, #{named(receiver)}, which is not shareable")
        else
          @audit.add("#{@block.source_location.join(":")}: self, #{named(receiver)}, goes with the block in this Ruby " \
                     "and is not shareable: write the block in a method of a module")
        end
      end

      # `main` has no descriptive class.
      def named(receiver)
        receiver.equal?(TOPLEVEL_BINDING.receiver) ? "main" : Ask.a(receiver)
      end
    end
  end
end
