# frozen_string_literal: true

module Kino
  class RactorAudit
    # Ruby's own answers about any object or module, even if its class overrides these methods or is a BasicObject.
    module Ask
      CLASS = Kernel.instance_method(:class)
      FROZEN = Kernel.instance_method(:frozen?)
      SINGLETON_CLASS = Kernel.instance_method(:singleton_class)
      SINGLETON_METHODS = Kernel.instance_method(:singleton_methods)
      VARIABLES = Kernel.instance_method(:instance_variables)
      VARIABLE = Kernel.instance_method(:instance_variable_get)
      SAME = BasicObject.instance_method(:equal?)
      SUPERCLASS = Class.instance_method(:superclass)
      NAME = Module.instance_method(:name)
      MODULE = %i[ancestors instance_methods private_instance_methods instance_method autoload? const_defined?
                  const_get const_source_location class_variable_defined? class_variable_get].to_h do |name|
        [name, Module.instance_method(name)]
      end

      CORE = {}.compare_by_identity
      (Object.ancestors + Class.ancestors + Module.ancestors).each { |mod| CORE[mod] = true }
      CORE.freeze

      module_function

      def class_of(object)
        CLASS.bind_call(object)
      end

      def frozen?(object)
        FROZEN.bind_call(object)
      end

      # Ruby recurses through nested objects; too many levels exhaust its stack.
      def shareable?(object)
        Ractor.shareable?(object)
      rescue SystemStackError
        false
      end

      def same?(one, other)
        SAME.bind_call(one, other)
      end

      # Where the object's method of that name comes from; nil if there is none.
      def owner_of_method(object, name)
        klass = singleton_methods?(object) ? singleton_class_of(object) : class_of(object)
        self.module(klass, :instance_method, name).owner
      rescue NameError
        nil
      end

      # The answer of one of Module's methods.
      def module(mod, question, *arguments)
        MODULE.fetch(question).bind_call(mod, *arguments)
      end

      def singleton_class_of(object)
        SINGLETON_CLASS.bind_call(object)
      end

      def singleton_methods?(object)
        SINGLETON_METHODS.bind_call(object, false).any?
      end

      # Its ancestors without those that every object and module has.
      def own_ancestors(mod)
        self.module(mod, :ancestors).reject { |one| CORE.key?(one) }
      end

      def name_of(mod)
        NAME.bind_call(mod) || "an anonymous #{Class === mod ? "subclass of #{name_of(SUPERCLASS.bind_call(mod) || BasicObject)}" : "Module"}"
      end

      # With the article: "a Hash", "an unfrozen Hash".
      def a(object, adjective = nil)
        words = [adjective, name_of(class_of(object)).sub(/\Aan anonymous/, "object of an anonymous")].compact.join(" ")
        "#{"AEIOU".include?(words[0].upcase) ? "an" : "a"} #{words}"
      end

      # By name.
      def variables_of(object)
        VARIABLES.bind_call(object).to_h { |name| [name, VARIABLE.bind_call(object, name)] }
      end

      # A short text for a String, Symbol or number; otherwise the class.
      def brief(object)
        text = case object
               when String, Symbol then short(object).inspect
               when Integer, Float, nil, true, false then object.inspect
               else name_of(class_of(object))
               end
        text.size > 40 ? "#{text[0, 37]}..." : text
      end

      # A huge String would take long to inspect, and its class may override #inspect.
      def short(object)
        return object unless String === object

        text = (+"").replace(object)[0, 60]
        return text.scrub("?") if text.encoding == Encoding::UTF_8
        return text.force_encoding(Encoding::UTF_8).scrub("?") if text.encoding == Encoding::BINARY

        text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace, replace: "?")
      rescue EncodingError
        "?"
      end
    end
  end
end
