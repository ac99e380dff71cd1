# frozen_string_literal: true

module Kino
  class RactorAudit
    # Follows the code of an app from `call`: a method counts as called if its class is known and code that counts calls
    # its name. Known classes are those of the app's objects, and constants that such code reads. Therefore a method
    # called by a computed name is missed, and a method that only shares its name with a called one may be reported.
    class Methods
      # The methods that a server calls.
      ENTRIES = %i[call each close to_ary to_path method_missing].freeze
      MOST_METHODS = 5_000
      CORE = (Object.ancestors + Class.ancestors + Module.ancestors).uniq.freeze
      # Ruby's own global variables that every Ractor may use have names like $~ or $VERBOSE, or are in this list.
      GLOBALS = %i[$stdin $stdout $stderr].freeze

      # A method and its owner: the module whose instances have it, or the object whose singleton method it is.
      Candidate = Struct.new(:method, :owner, :holder) do
        def label
          "#{Ask.name_of(owner)}#{holder ? "." : "#"}#{method.name}"
        end
      end

      def initialize(audit)
        @audit = audit
        @names = {}
        @waiting = Hash.new { |hash, name| hash[name] = [] }
        @queue = []
        @modules = {}.compare_by_identity
        @values = {}.compare_by_identity
        ENTRIES.each { |name| called(name) }
      end

      # Adds the code of one of the app's objects.
      def add_object(object)
        case object
        when Module then add_module(object)
        when Proc then analyse(RubyVM::InstructionSequence.of(object), Candidate.new(object, Object, nil), block: true)
        when Method then @queue << Candidate.new(object.unbind, object.owner, nil)
        else
          add_module(Ask.class_of(object))
          add_singleton(object) if Kernel.instance_method(:singleton_methods).bind_call(object, false).any?
        end
      rescue StandardError
        nil
      end

      def visit
        done = 0
        while (candidate = @queue.shift) && !@audit.full? && (done += 1) <= MOST_METHODS
          look_into(candidate)
        end
      end

      private

      def add_module(mod)
        return if @modules.key?(mod)

        @modules[mod] = true
        (mod.ancestors - CORE).each { |ancestor| own_methods(ancestor, nil) }
        add_singleton(mod)
      end

      def add_singleton(object)
        (object.singleton_class.ancestors - CORE).each do |ancestor|
          # For an object that is not a module, the class follows its singleton class and is already known.
          own_methods(ancestor, object) unless Class === ancestor && !ancestor.singleton_class?
        end
      end

      def own_methods(mod, holder)
        return if holder.nil? && @modules[mod] == :listed

        @modules[mod] = :listed unless holder
        names = mod.instance_methods(false) + mod.private_instance_methods(false)
        owner = holder && Module === holder ? holder : mod
        names.each { |name| candidate(Candidate.new(mod.instance_method(name), owner, holder)) }
      end

      def candidate(one)
        (@names[one.method.name] ? @queue : @waiting[one.method.name]) << one
      end

      def called(name)
        return if @names[name]

        @names[name] = true
        called(:initialize) if name == :new
        @queue.concat(@waiting.delete(name)) if @waiting.key?(name)
      end

      def look_into(candidate)
        instructions = RubyVM::InstructionSequence.of(candidate.method)
        instructions ? analyse(instructions, candidate) : reader(candidate)
      rescue StandardError, NotImplementedError
        nil
      end

      def analyse(instructions, candidate, block: false)
        return unless instructions

        code = Code.new(instructions)
        file = instructions.path
        code.calls.uniq.each { |name| called(name) }
        defined_by_block(candidate) if code.block? && !block
        code.constants.each { |names, line| constant(names, "#{file}:#{line}", candidate) }
        code.variables.each { |use, name, line| variable(use, name, "#{file}:#{line}", candidate) }
      end

      def constant(names, place, candidate)
        found = Constants.find(names, candidate.owner)
        return if found.nil? || @values.key?(found.value)

        @values[found.value] = true
        return add_module(found.value) if Module === found.value
        return unshareable(found, place, candidate) unless Ractor.shareable?(found.value)

        add_object(found.value)
      end

      def unshareable(found, place, candidate)
        inner = RactorAudit.new(limit: LIMIT)
        Objects.new(inner).visit(found.value, found.name)
        where = " (#{found.place})" unless found.place.empty?
        inner.findings.each do |finding|
          text = finding.start_with?("#{found.name} ") ? ", which#{finding.delete_prefix(found.name)}" : ", and #{finding}"
          @audit.add("#{candidate.label} (#{place}) reads #{found.name}#{where}#{text}", :constant)
        end
      end

      def variable(use, name, place, candidate)
        case name
        when /\A@@/ then main_only(use, "the class variable #{name}", place, candidate, :class_variable)
        when /\A@/ then of_module(use, name, place, candidate) if candidate.holder.is_a?(Module)
        when /\A\$[a-z]\w+\z/ then main_only(use, "the global variable #{name}", place, candidate, :global_variable) unless GLOBALS.include?(name)
        end
      end

      def main_only(use, what, place, candidate, kind)
        @audit.add("#{candidate.label} (#{place}) #{use} #{what}, which only the main Ractor can", kind)
      end

      def of_module(use, name, place, candidate)
        return main_only(use, "#{name} of #{Ask.name_of(candidate.holder)}", place, candidate, :class_level_variable) if use == :sets

        value = Ask.variables_of(candidate.holder)[name]
        return if Ractor.shareable?(value)

        @audit.add("#{candidate.label} (#{place}) reads #{name} of #{Ask.name_of(candidate.holder)}, #{Ask.a(value)} that is not shareable",
                   :class_level_variable)
      end

      # An attr_reader of the module itself.
      def reader(candidate)
        method = candidate.method
        return unless Module === candidate.holder && method.source_location && method.arity.zero?

        of_module(:reads, :"@#{method.name}", method.source_location.join(":"), candidate)
      end

      # Ruby calls such a method in another Ractor only if its block is shareable.
      def defined_by_block(candidate)
        block = block_of(candidate.method)
        return if block && Ractor.shareable?(block)

        place = candidate.method.source_location&.join(":")
        used = block ? Captures.new(nil, block).unshareable.map { |name, value| " (it uses #{name}, #{Ask.a(value)})" }.join : ""
        @audit.add("#{candidate.label} (#{place}) is a block given to define_method#{used}, which only the Ractor that " \
                   "defined it can call; use def", :method)
      end

      # Only the collector can reach a method's block.
      def block_of(method)
        require "objspace"
        inner = ObjectSpace.reachable_objects_from(method).grep(ObjectSpace::InternalObjectWrapper)
        inner.flat_map { |one| ObjectSpace.reachable_objects_from(one) }.find { |one| Proc === one }
      rescue LoadError, StandardError
        nil
      end
    end
  end
end
