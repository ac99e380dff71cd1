# frozen_string_literal: true

module Kino
  class RactorAudit
    # The variables and the self that a block captures.
    class Captures
      BINDING = Proc.instance_method(:binding)
      LOCATION = Proc.instance_method(:source_location)
      LAMBDA = Proc.instance_method(:lambda?)
      REASSIGNED = /outer variable '(\w+)' may be reassigned/.freeze

      def initialize(audit, block)
        @audit = audit
        @block = block
        @place = LOCATION.bind_call(block)&.join(":")
        instructions = RubyVM::InstructionSequence.of(block)
        # Without instructions, it is a method or a symbol, which capture nothing.
        @code = instructions && BlockCode.new(instructions.disasm, instructions.path)
      end

      # Captured variables that the block reads, by name.
      def values
        return {} unless @code

        @values ||= @code.captured.keys.to_h { |name| [name, binding_of.local_variable_get(name)] }
      rescue StandardError # a block of a method has no binding
        {}
      end

      # Captured variables that are not shareable, by name.
      def unshareable
        values.reject { |_, value| Ask.shareable?(value) }
      end

      # Adds what prevents sharing the block alone, which may get another self where Ruby can do that.
      def visit
        return unless @code

        unshareable.each do |name, value|
          place = @code.captured[name]
          captured("the block", name, value, "#{place}: the block uses #{name}, #{Ask.a(value)}, which is not shareable")
        end
        @code.assigned.each { |name, place| assigned("the block", name, "#{place}: the block assigns #{name}, a variable from outside it") }
        receiver = binding_of.receiver
        self_of(receiver) unless Ask.shareable?(receiver)
      rescue ArgumentError # without a binding, it is a method
        nil
      end

      # Adds what prevents sharing the block as a part of +root+, at +path+.
      def report(path, root, freezing)
        @found = false
        @freezing = freezing
        is = "#{path} is #{LAMBDA.bind_call(@block) ? "a lambda" : "a block"}#{" (#{@place})" if @place}"
        report_variables(path, is)
        report_self(path, is)
        report_obstacle(path, is, root) unless @found
      end

      private

      def add(kind, **details)
        @found = true
        @audit.add(kind, **details)
      end

      def binding_of
        BINDING.bind_call(@block)
      end

      def report_variables(path, is)
        unshareable.each do |name, value|
          captured(path, name, value, "#{is}, which uses #{name} (#{@code.captured[name]}), #{Ask.a(value)} that is not shareable")
        end
        @code&.assigned&.each do |name, place|
          assigned(path, name, "#{is}, which assigns #{name} (#{place}), a variable from outside it")
        end
      end

      # A captured value must be made shareable before the block is.
      def captured(path, name, value, text)
        freezing = name.to_s if (@freezing || Freezing.new).possible?(value)
        add(:captured_variable, subject: path, place: @code.captured[name], text: text, freezing: freezing, name: name.to_s)
      end

      def assigned(path, name, text)
        add(:assigned_variable, subject: path, place: @code.assigned[name], text: text, name: name.to_s)
      end

      def report_self(path, is)
        receiver = binding_of.receiver
        return if Ask.shareable?(receiver)

        used = @code&.self_use(receiver)
        add(used ? :self : :unused_self, subject: path, place: used || @place,
            text: "#{is}, whose self, #{named(receiver)}, is not shareable#{" and used (#{used})" if used}")
      rescue StandardError # a block of a method has no binding
        nil
      end

      def report_obstacle(path, is, root)
        obstacle = @freezing.obstacle(@block)
        return add(:block, subject: path, place: @place, text: "#{is} that is not shareable yet", freezing: root) if obstacle.nil?

        name = obstacle[REASSIGNED, 1]
        return add(:native_block, subject: path, place: @place, text: "#{is} that Ruby cannot share: #{obstacle}") unless name

        place = @code&.captured&.fetch(name.to_sym, @place)
        add(:reassigned_variable, subject: path, place: place, name: name,
            text: "#{is}, which uses #{name} (#{place}), a variable that is assigned more than once")
      end

      def self_of(receiver)
        if Ractor.respond_to?(:shareable_proc)
          place = @code.self_use(receiver) or return
          add(:self, subject: "the block", place: place,
              text: "#{place}: the block uses self, #{named(receiver)}, which is not shareable")
        else
          add(:self, subject: "the block", place: @place,
              text: "#{@place}: self, #{named(receiver)}, goes with the block in this Ruby " \
                    "and is not shareable: write the block in a method of a module")
        end
      end

      # `main` has no descriptive class.
      def named(receiver)
        TOPLEVEL_BINDING.receiver.equal?(receiver) ? "main" : Ask.a(receiver)
      end
    end
  end
end
