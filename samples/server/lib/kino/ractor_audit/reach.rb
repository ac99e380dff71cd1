# frozen_string_literal: true

module Kino
  class RactorAudit
    # Which methods an app's code can call, starting with #call of its objects. The receiver of a call is unknown before
    # it happens, so names decide: an instance method counts as called if objects of its class are known and code calls
    # its name. A method of a module itself counts as called if that module is one of the app's objects, or if its own
    # code or code that reads its constant calls the name. Therefore a method called by a computed name is missed, and a
    # method that only shares its name with a called one may be included.
    class Reach
      # The methods that a server calls.
      ENTRIES = %i[call each close to_ary to_path method_missing].freeze
      # The methods that Ruby itself calls in methods written in C, in conversions and comparisons.
      IMPLICIT = %i[to_s to_str to_a to_h to_hash to_proc to_i to_int to_f to_sym coerce <=> == === =~ eql? hash succ begin
                    respond_to_missing? initialize_copy initialize_dup initialize_clone exception message].freeze
      # Messages of errors call it of any object, which says nothing about the classes that the app knows.
      UNTOLD = %i[inspect].freeze
      # In them, self is new.
      CONSTRUCTORS = %i[initialize initialize_copy initialize_dup initialize_clone].freeze
      # Of modules, these are called only while the app is loaded, or not at all.
      NOT_OF_MODULES = (%i[freeze] + IMPLICIT).freeze
      UNBIND = Method.instance_method(:unbind)
      OWNER = Method.instance_method(:owner)

      # A method and its owner: the module whose instances have it, or the object whose singleton method it is.
      # A block of the app is its own method.
      Candidate = Struct.new(:method, :owner, :holder) do
        def block?
          Proc === method
        end

        # Whether it is a method of a module itself.
        def of_module?
          Module === holder
        end

        def label
          return "the block" if block?

          "#{Ask.name_of(owner)}#{holder ? "." : "#"}#{method.name}"
        end
      end

      # Methods by name, which leave when the name is called.
      class Waiting
        attr_reader :all_names

        def initialize(queue)
          @queue = queue
          @called = {}
          @waiting = {}
          @all_names = {}
        end

        def add(candidate)
          name = candidate.method.name
          @all_names[name] = true
          @called[name] ? @queue << candidate : (@waiting[name] ||= []) << candidate
        end

        def call(name)
          return if @called[name]

          @called[name] = true
          @queue.concat(@waiting.delete(name)) if @waiting.key?(name)
        end

        def called
          @called.keys
        end
      end

      def initialize
        @queue = []
        @instances = Waiting.new(@queue)
        @of_modules = {}.compare_by_identity
        # Those whose receiver may be anywhere.
        @dynamic = []
        @classes = {}.compare_by_identity
        # The app's own objects, which are frozen when Ractors share them, by their classes and the ancestors of those.
        @frozen = {}.compare_by_identity
        @own_ancestors = {}.compare_by_identity
        @copied = {}.compare_by_identity
        # The names that methods of a name call.
        @called_by = Hash.new { |hash, name| hash[name] = {} }
        @listed = {}.compare_by_identity
        (ENTRIES + IMPLICIT).each { |name| @instances.call(name) }
      end

      # The next method that counts as called, or nil.
      def next
        @queue.shift
      end

      # Adds one of the app's objects.
      def object(object)
        case object
        when Module then dynamic_module(object)
        when Proc then block(object)
        when Method then @queue << Candidate.new(UNBIND.bind_call(object), OWNER.bind_call(object), nil)
        else
          frozen(object)
          instances_of(Ask.class_of(object))
          singleton_methods(object, @instances) if Ask.singleton_methods?(object)
        end
      rescue StandardError
        nil
      end

      # The classes whose objects are known.
      def classes
        @classes.keys
      end

      # Whether self is one of the app's own objects in the method, not a copy of one, and not under construction. To be
      # asked when there is no next method.
      def frozen?(candidate)
        return false if candidate.block? || !serving.key?(candidate.method.name)
        return !candidate.of_module? if candidate.holder

        @frozen.key?(candidate.owner) && !@copied.key?(candidate.owner)
      end

      # Whether all of these objects have that variable, so `||=` does not set it.
      def set_in_all?(candidate, name)
        objects = candidate.holder ? [candidate.holder] : @frozen.fetch(candidate.owner, [])
        objects.all? { |object| Ask.variables_of(object)[name] }
      end

      # The +candidate+ calls those names, the +own+ ones of itself, and reads those modules.
      def calls(candidate, names, own, modules)
        names.each { |name| @called_by[candidate.block? ? :call : candidate.method.name][name] = true }
        @copied[candidate.owner] = true if own.include?(:dup) || own.include?(:clone)
        (names - UNTOLD).each { |name| call(name) }
        modules.each { |mod| read(mod, names) }
        if candidate.of_module? then own.each { |name| of_module(candidate.holder).call(name) }
        elsif names.include?(:class) then call_class_of(candidate.owner, names)
        end
      rescue StandardError
        nil
      end

      private

      # The names of methods that are called otherwise than by constructors.
      def serving
        @serving ||= begin
          names = (ENTRIES + IMPLICIT - CONSTRUCTORS).to_h { |name| [name, true] }
          queue = names.keys
          while (name = queue.shift)
            fresh = (@called_by[name].keys - CONSTRUCTORS).reject { |called| names.key?(called) }
            fresh.each { |called| names[called] = true }
            queue.concat(fresh)
          end
          names
        end
      end

      def frozen(object)
        klass = Ask.class_of(object)
        (@own_ancestors[klass] ||= Ask.own_ancestors(klass)).each { |mod| (@frozen[mod] ||= []) << object }
      end

      def call(name)
        @instances.call(name)
        @instances.call(:initialize) if name == :new
        @dynamic.each { |waiting| waiting.call(name) } unless NOT_OF_MODULES.include?(name)
      end

      # A constant's module. Its instances exist if the code calls its methods, such as new.
      def read(mod, names)
        own = of_module(mod)
        names.each { |name| own.call(name) }
        instances_of(mod) if Class === mod && names.any? { |name| name == :new || own.all_names[name] }
      end

      # Methods like self.class.name.
      def call_class_of(owner, names)
        @classes.each_key do |klass|
          next unless Ask.module(klass, :ancestors).any? { |one| Ask.same?(one, owner) }

          own = of_module(klass)
          names.each { |name| own.call(name) }
        end
      end

      def dynamic_module(mod)
        instances_of(mod)
        own = of_module(mod)
        return if @dynamic.include?(own)

        @dynamic << own
        (@instances.called - NOT_OF_MODULES).each { |name| own.call(name) }
      end

      def of_module(mod)
        @of_modules.fetch(mod) do
          @of_modules[mod] = waiting = Waiting.new(@queue)
          singleton_methods(mod, waiting)
          waiting
        end
      end

      # Its constants are those of the code around it.
      def block(block)
        nesting = begin
          Captures::BINDING.bind_call(block).eval("::Module.nesting")
        rescue StandardError # a shareable block has no binding
          []
        end
        @queue << Candidate.new(block, nesting.first || Object, nil)
      end

      def instances_of(mod)
        return if @classes.key?(mod)

        @classes[mod] = true
        Ask.own_ancestors(mod).each do |ancestor|
          next if @listed.key?(ancestor)

          @listed[ancestor] = true
          methods_of(ancestor, ancestor, nil, @instances)
        end
      end

      def singleton_methods(object, waiting)
        Ask.own_ancestors(Ask.singleton_class_of(object)).each do |ancestor|
          # For an object that is not a module, the class follows its singleton class and is already known.
          next if Class === ancestor && !ancestor.singleton_class?

          methods_of(ancestor, Module === object ? object : ancestor, object, waiting)
        end
      end

      def methods_of(mod, owner, holder, waiting)
        names = Ask.module(mod, :instance_methods, false) + Ask.module(mod, :private_instance_methods, false)
        names.each { |name| waiting.add(Candidate.new(Ask.module(mod, :instance_method, name), owner, holder)) }
      end
    end
  end
end
