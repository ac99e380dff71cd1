# frozen_string_literal: true

require "objspace"

module Kino
  class RactorAudit
    # Predicts what Ractor.make_shareable would do to an object, without changing it: Ruby is asked about an empty
    # object of the same class, or about a copy of a block.
    class Freezing
      ALLOCATE = Class.instance_method(:allocate)
      DEFINE = Kernel.instance_method(:define_singleton_method)
      FREEZE = Kernel.instance_method(:freeze)
      REMOVE = Kernel.instance_method(:remove_instance_variable)
      DUP = Proc.instance_method(:dup)
      BACKTRACE = Exception.instance_method(:backtrace)
      # Ruby 4.0 freezes an IO and thereby makes it useless; later versions refuse.
      NEVER = [IO, Thread, Binding].freeze

      # In Ruby 4.0 and later, methods of shareable objects are shareable.
      METHODS = begin
        Ractor.make_shareable(1.method(:+))
        true
      rescue StandardError
        false
      end

      def initialize
        @capable = {}.compare_by_identity
      end

      # Whether Ruby can make objects of this type shareable, if it can their parts.
      def possible?(object)
        case object
        when *NEVER then false
        when UnboundMethod then METHODS
        when Method then METHODS && Ask.shareable?(Parts::RECEIVER.bind_call(object))
        when Exception then BACKTRACE.bind_call(object).nil? # a backtrace cannot be shared
        else
          klass = Ask.class_of(object)
          @capable.fetch(klass) { @capable[klass] = freezes?(klass) && (ruby?(object) || capable?(klass)) }
        end
      end

      # The location of the object's own #freeze if that is Ruby code, because then that code decides.
      def own_freeze(object)
        Ask.module(Ask.class_of(object), :instance_method, :freeze).source_location&.join(":")
      rescue NameError
        nil
      end

      # Why Ruby cannot make the block shareable, or nil. Captured values must be shareable: Ruby's message has their
      # #inspect.
      def obstacle(block)
        return "it is of #{Ask.name_of(Ask.class_of(block))}" unless Ask.class_of(block).equal?(Proc)

        copy = DUP.bind_call(block)
        Ask.variables_of(copy).each_key { |name| REMOVE.bind_call(copy, name) }
        Ractor.make_shareable(copy)
        nil
      rescue StandardError => e
        e.message.chomp(".")
      end

      private

      # A BasicObject has no #freeze.
      def freezes?(klass)
        Ask.module(klass, :instance_method, :freeze)
      rescue NameError
        false
      end

      # Whether it consists of Ruby's own objects, without data of native code.
      def ruby?(object)
        case object
        when String, Array, Hash, Struct then true
        else !ObjectSpace.dump(object)[0, 200].include?('"type":"DATA"')
        end
      end

      # #freeze and #inspect of the class are replaced, because Ruby calls them.
      def capable?(klass)
        klass = Ask::SUPERCLASS.bind_call(klass) until Ask.module(klass, :instance_method, :singleton_method_added).owner.equal?(BasicObject)
        blank = ALLOCATE.bind_call(klass)
        return Ask.shareable?(blank) if Ask.frozen?(blank)

        DEFINE.bind_call(blank, :inspect) { "" }
        DEFINE.bind_call(blank, :to_s) { "" }
        DEFINE.bind_call(blank, :freeze) { FREEZE.bind_call(self) }
        Ractor.make_shareable(blank)
        true
      rescue StandardError, NotImplementedError
        false
      end
    end
  end
end
