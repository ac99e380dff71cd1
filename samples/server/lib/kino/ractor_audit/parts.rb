# frozen_string_literal: true

require "objspace"

module Kino
  class RactorAudit
    # The objects that an object refers to, each with its path from there. A path is a String, or [:index, key] or
    # [:key, key] for what a reader would write as [key].
    module Parts
      KEYS = Hash.instance_method(:keys)
      VALUES = Hash.instance_method(:values)
      DEFAULT = Hash.instance_method(:default)
      DEFAULT_PROC = Hash.instance_method(:default_proc)
      ELEMENTS = Array.instance_method(:to_a)
      SIZE = Array.instance_method(:size)
      FETCH = Array.instance_method(:at)
      MEMBERS = Struct.instance_method(:members)
      MEMBER_VALUES = Struct.instance_method(:to_a)
      DATA = defined?(::Data.define) ? ::Data : nil
      DATA_VALUES = DATA&.instance_method(:to_h)
      RECEIVER = Method.instance_method(:receiver)
      PLAIN = [String, Symbol, Numeric, Regexp].freeze

      module_function

      # Stops after about +most+ parts. Uses no method that a class may override, and no iterator, because adding to a
      # Hash fails in other Threads during an iteration.
      def of(object, most)
        parts = Ask.variables_of(object).map { |name, value| [value, ".#{name}"] }
        case object
        when Array then [SIZE.bind_call(object), most].min.times { |index| parts << [FETCH.bind_call(object, index), [:index, index]] }
        when Hash then of_hash(object, parts, most)
        when Struct then MEMBERS.bind_call(object).zip(MEMBER_VALUES.bind_call(object)) { |name, value| parts << [value, ".#{name}"] }
        when DATA then DATA_VALUES.bind_call(object).each { |name, value| parts << [value, ".#{name}"] }
        when Method then parts << [RECEIVER.bind_call(object), ".receiver"]
        when Module, Proc, UnboundMethod, *PLAIN then nil
        else of_native(object, parts)
        end
        parts
      rescue StandardError
        parts || []
      end

      def of_hash(hash, parts, most)
        values = VALUES.bind_call(hash)
        KEYS.bind_call(hash).first(most).each_with_index do |key, index|
          parts << [key, [:key, key]] << [values[index], [:index, key]]
        end
        parts << [DEFAULT.bind_call(hash), ".default"] << [DEFAULT_PROC.bind_call(hash), ".default_proc"]
      end

      # What only the collector can see, such as the elements of a Set or the ends of a Range.
      def of_native(object, parts)
        known = {}.compare_by_identity
        parts.each { |value, _| known[value] = true }
        ObjectSpace.reachable_objects_from(object)&.each do |part|
          parts << [part, " (inside)"] unless known[part] || Module === part || ObjectSpace::InternalObjectWrapper === part
        end
      end
    end
  end
end
