# frozen_string_literal: true

module Kino
  class RactorAudit
    # Finds the state that an app's code uses and that only the main Ractor can, in every method within Reach.
    class Methods
      MOST_METHODS = 5_000
      # The global variables with names like these that every Ractor may use; others, such as $~, belong to a method.
      GLOBALS = %i[$stdin $stdout $stderr $VERBOSE $DEBUG].freeze
      GLOBAL = /\A\$(?:[A-Za-z]\w*|[0*:";,<.])\z/.freeze
      # Since 4.1, every Ractor may read class variables with shareable values.
      CLASS_VARIABLES = RUBY_VERSION >= "4.1"
      # Of the value of a constant or variable, so many objects are looked at.
      MOST_IN_VALUE = 10_000

      def initialize(audit)
        @audit = audit
        @reach = Reach.new
        @values = {}.compare_by_identity
        @sets = []
      end

      # Adds the code of one of the app's objects.
      def add_object(object)
        @reach.object(object)
      end

      def visit
        done = 0
        while (done += 1) <= MOST_METHODS && (candidate = @reach.next)
          look_into(candidate)
        end
        @sets.each { |set| of_object(*set) }
      end

      private

      def look_into(candidate)
        instructions = RubyVM::InstructionSequence.of(candidate.method)
        instructions ? analyse(instructions, candidate) : accessor(candidate)
      rescue StandardError, NotImplementedError
        nil
      end

      def analyse(instructions, candidate)
        code = Code.new(instructions) { |name| candidate.of_module? && usable?(candidate.holder, name) }
        file = instructions.path
        defined_by_block(candidate) if code.block? && !candidate.block?
        found = constants(code, candidate).map { |one, line| [one, "#{file}:#{line}"] }
        modules, others = found.partition { |one, _| Module === one.value }
        @reach.calls(candidate, code.calls.uniq, code.own_calls.uniq, modules.map { |one, _| one.value })
        others.each { |one, place| constant(one, place, candidate) }
        code.variables.uniq { |use, name, _| [use, name] }.each { |use, name, line| variable(use, name, "#{file}:#{line}", candidate) }
      end

      # Whether the variable of the module has a value that every Ractor can use.
      def usable?(mod, name)
        value = Ask.variables_of(mod)[name]
        !(nil == value || false == value) && Ask.shareable?(value)
      end

      # Each with its line.
      def constants(code, candidate)
        code.constants.flat_map { |names, line| named(names, candidate.owner).map { |one| [one, line] } } +
          code.loose_constants.flat_map { |name, line| in_classes { |klass| Constants.find_in(klass, name) }.map { |one| [one, line] } }
      end

      # The owner of a method that is defined for one object, or by a block, does not tell what is around it.
      def named(names, owner)
        found = Constants.find(names, owner)
        found ? [found] : in_classes { |klass| Constants.find(names, klass) }
      end

      def in_classes(&block)
        @reach.classes.filter_map(&block).uniq(&:name)
      end

      def constant(found, place, candidate)
        return if @values.key?(found.value)

        @values[found.value] = true
        unshareable(found, place, candidate) unless Ask.shareable?(found.value)
        add_object(found.value)
      end

      # One finding for the constant: about a part that freezing does not mend if there is one.
      def unshareable(found, place, candidate)
        first, freezing = inside(found.value, found.name)
        return unless first

        where = " (#{found.place})" unless found.place.empty?
        about = first.text.start_with?("#{found.name} ") ? ", which#{first.text.delete_prefix(found.name)}" : ", and #{first}"
        report(:constant, candidate, place, "reads #{found.name}#{where}#{about}", name: found.name, defined_at: found.place,
               freezing: (found.name if freezing))
      end

      # The most important finding in a value, and whether freezing the value mends all of them.
      def inside(value, name)
        inner = RactorAudit.new
        Objects.new(inner, most: MOST_IN_VALUE).visit(value, name)
        worst = inner.findings.find { |one| one.freezing != name }
        [worst || inner.findings.first, worst.nil?]
      end

      def variable(use, name, place, candidate)
        case name
        when /\A@@/ then class_variable(use, name, place, candidate)
        when /\A@/
          if candidate.of_module? then of_module(use, name, place, candidate)
          elsif use != :reads then @sets << [use, name, place, candidate]
          end
        when *GLOBALS then nil
        when GLOBAL then report(:global_variable, candidate, place, "uses the global variable #{name}, which only the main Ractor can", name: name)
        end
      end

      def class_variable(use, name, place, candidate)
        return if CLASS_VARIABLES && use == :reads && shareable_class_variable?(name, candidate.owner)

        report(:class_variable, candidate, place, "#{use} the class variable #{name}, which only the main Ractor can", name: name)
      end

      def shareable_class_variable?(name, owner)
        !Ask.module(owner, :class_variable_defined?, name) || Ask.shareable?(Ask.module(owner, :class_variable_get, name))
      end

      def of_module(use, name, place, candidate)
        whose = "#{name} of #{Ask.name_of(candidate.holder)}"
        unless use == :reads
          return report(:class_level_variable, candidate, place, "sets #{whose}, which only the main Ractor can", name: name)
        end

        value = Ask.variables_of(candidate.holder)[name]
        add_object(value)
        return if Ask.shareable?(value)

        report(:class_level_variable, candidate, place, "reads #{whose}, #{Ask.a(value)} that is not shareable", name: name,
               freezing: ("#{Ask.name_of(candidate.holder)}.instance_variable_get(:#{name})" if inside(value, name).last))
      end

      def of_object(use, name, place, candidate)
        return unless @reach.frozen?(candidate)
        return if use == :sets_once && @reach.set_in_all?(candidate, name)

        report(:instance_variable, candidate, place, "sets #{name}, but Ractors can share only frozen objects", name: name)
      end

      # An attr_reader or attr_writer of the module itself.
      def accessor(candidate)
        method = candidate.method
        return unless candidate.of_module? && method.source_location

        place = method.source_location.join(":")
        name = method.name.to_s
        if method.arity.zero? then of_module(:reads, :"@#{name}", place, candidate)
        elsif method.arity == 1 && name.end_with?("=") then of_module(:sets, :"@#{name.chomp("=")}", place, candidate)
        end
      end

      # Ruby calls such a method in another Ractor only if its block is shareable.
      def defined_by_block(candidate)
        block = block_of(candidate.method)
        return if block && Ask.shareable?(block)

        place = candidate.method.source_location&.join(":")
        used = block ? Captures.new(nil, block).unshareable.map { |name, value| " (it uses #{name}, #{Ask.a(value)})" }.join : ""
        report(:method, candidate, place, "is a block given to define_method#{used}, which only the Ractor that defined it can call")
      end

      def report(kind, candidate, place, text, **rest)
        @audit.add(kind, subject: candidate.label, place: place, text: "#{candidate.label} (#{place}) #{text}", **rest)
      end

      # Only the collector can reach a method's block.
      def block_of(method)
        inner = ObjectSpace.reachable_objects_from(method).grep(ObjectSpace::InternalObjectWrapper)
        inner.flat_map { |one| ObjectSpace.reachable_objects_from(one) }.find { |one| Proc === one }
      rescue StandardError
        nil
      end
    end
  end
end
