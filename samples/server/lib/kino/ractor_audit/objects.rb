# frozen_string_literal: true

module Kino
  class RactorAudit
    # Descends from an object to the parts that prevent sharing.
    class Objects
      MOST_OBJECTS = 100_000
      EACH_PAIR = Hash.instance_method(:each_pair)
      EACH = Array.instance_method(:each)
      MEMBERS = Struct.instance_method(:each_pair)

      # +copy+: whether the objects will be copied, so only parts that cannot be copied prevent sharing.
      def initialize(audit, copy: false)
        @audit = audit
        @copy = copy
        @seen = {}.compare_by_identity
      end

      # Every object that was visited.
      def seen
        @seen.keys
      end

      # Returns whether +object+ is shareable or a part of it was reported.
      def visit(object, path)
        return if @audit.full? || @seen.key?(object) || @seen.size >= MOST_OBJECTS

        @seen[object] = true
        return visit_module(object, path) if Module === object
        return if @copy && Ractor.shareable?(object)

        before = @audit.findings.size
        parts(object).each { |part, place| visit(part, "#{path}#{place}") }
        return if Ractor.shareable?(object) || @audit.findings.size > before

        @audit.add("#{path}#{complaint(object)}") unless @copy && copyable?(object)
      end

      private

      # Every Ractor can use a class, but its instance variables only if they are shareable.
      def visit_module(object, path)
        bad = Ask.variables_of(object).reject { |_, value| Ractor.shareable?(value) }.keys
        return if bad.empty? || @copy

        @audit.add("#{path} is #{Ask.name_of(object)}, whose class-level #{bad.first(5).join(", ")}#{", ..." if bad.size > 5} " \
                   "cannot be read in a Ractor")
      end

      # The parts of an object, with their paths relative to it.
      def parts(object)
        parts = Ask.variables_of(object).map { |name, value| [value, ".#{name}"] }
        case object
        when Array then EACH.bind_call(object).each_with_index { |part, index| parts << [part, "[#{index}]"] }
        when Hash
          EACH_PAIR.bind_call(object) { |key, part| parts << [key, ".key(#{brief(key)})"] << [part, "[#{brief(key)}]"] }
        when Struct then MEMBERS.bind_call(object) { |name, part| parts << [part, ".#{name}"] }
        when Method then parts << [object.receiver, ".receiver"]
        end
        parts
      rescue StandardError
        []
      end

      def complaint(object)
        return ": #{Ask.a(object)} cannot be shared or copied" if @copy

        case object
        when Proc then block(object)
        when IO, Mutex, Thread, Queue, Method then " is #{Ask.a(object)}, which belongs to one Ractor"
        else " is an unfrozen #{Ask.name_of(Ask.class_of(object))}#{" (#{brief(object)})" if String === object}"
        end
      end

      def block(object)
        place = object.source_location&.join(":")
        kind = "#{object.lambda? ? "a lambda" : "a block"}#{" (#{place})" if place}"
        used = Captures.new(nil, object).unshareable.map { |name, value| "#{name}, #{Ask.a(value)}" }
        return " is #{kind}, which uses #{used.join(" and ")} from outside" unless used.empty?

        " is #{kind} that can capture variables and self; use a class with #call, or make the block shareable"
      end

      def copyable?(object)
        Ractor.make_shareable(object, copy: true)
        true
      rescue StandardError
        false
      end

      def brief(object)
        text = String === object || Symbol === object ? object.inspect : Ask.name_of(Ask.class_of(object))
        text.size > 40 ? "#{text[0, 37]}..." : text
      end
    end
  end
end
