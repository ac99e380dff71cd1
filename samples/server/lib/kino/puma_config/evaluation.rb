# frozen_string_literal: true

require "ripper"

require_relative "directives"

module Kino
  module PumaConfig
    # Evaluates a configuration file of Puma statement by statement, in the child process of a Recorder, and yields what it
    # calls. What is not available here, such as Rails, is replaced by an object that responds to everything.
    class Evaluation
      MARK = "\u0001"
      # Libraries that Puma has loaded when it reads the file, by their constants.
      LIBRARIES = { Etc: "etc", Pathname: "pathname", Socket: "socket", URI: "uri", YAML: "yaml", JSON: "json" }.freeze
      # From this number of lines on, a statement is expected to end with a line that is not indented.
      LONG = 30
      HIDDEN = %i[exit exit! abort exec fork spawn system sleep ` gets daemon].freeze

      def initialize(path, text, &report)
        @path = path
        @text = text
        @report = report
      end

      def run
        context = Context.new(self)
        define_missing_constants
        statements { |source, line| evaluate(context, source, line) }
      end

      def call(name, arguments, block, line = caller_line)
        @report.call(Recorder::Call.new(name, arguments.map { |one| plain(one) }, line, !block.nil?))
        nil
      end

      def read_variable(name)
        value = ENV[name]
        @report.call({ name => value })
        value
      end

      def unknown(text)
        Unknown.new(self, text)
      end

      # For a constant, which may contain others.
      def unknown_module(text)
        evaluation = self
        Module.new.tap do |made|
          made.define_singleton_method(:const_missing) { |name| evaluation.unknown_module("#{text}::#{name}") }
          made.define_singleton_method(:method_missing) { |name, *, **, &_| evaluation.unknown("#{text}.#{name}") }
          made.define_singleton_method(:respond_to_missing?) { |*| true }
          made.define_singleton_method(:to_s) { "#{MARK}#{text}#{MARK}" }
          made.define_singleton_method(:new) { |*, **, &_| evaluation.unknown("#{text}.new") }
        end
      end

      private

      # Yields each statement of the top level and its line: the shortest sequences of lines that are valid Ruby.
      def statements
        lines = @text.lines
        at = 0
        while at < lines.size
          size = 1
          size += 1 while at + size < lines.size && !whole?(lines[at, size].join, lines[at + size])
          yield lines[at, size].join, at + 1
          at += size
          break if lines[at - 1] == "__END__\n"
        end
      end

      def whole?(source, following)
        return false if source.end_with?("\\\n") || following.match?(/\A\s*&?\.[a-z]/)
        return false if source.count("\n") > LONG && source.match?(/^\s[^\n]*\n\z/)

        !Ripper.sexp(source).nil?
      end

      def evaluate(context, source, line)
        context.kino_binding.eval(source, @path, line)
      rescue Exception => e # SystemExit as well
        place = e.backtrace_locations&.find { |one| one.path == @path }&.lineno || line
        @report.call(Recorder::Failure.new(place, "#{e.class}: #{text_of(e.message).lines.first&.chomp}"))
      end

      def caller_line
        caller_locations.find { |place| place.path == @path }&.lineno
      end

      # The file names constants of Rails, Puma and gems, with and without ::.
      def define_missing_constants
        evaluation = self
        Object.define_singleton_method(:const_missing) do |name|
          require LIBRARIES[name] if LIBRARIES.key?(name)
          LIBRARIES.key?(name) ? const_get(name) : evaluation.unknown_module(name.to_s)
        end
      end

      # Only what the parent can load.
      def plain(value)
        case value
        when Unknown then Recorder::Unclear.new(Unknown.text_of(value))
        when String then clear(value)
        when nil, true, false, Integer, Float, Symbol then value
        when Array then value.map { |one| plain(one) }
        when Hash then value.to_h { |key, one| [plain(key), plain(one)] }
        when Module then clear(value.to_s)
        else defined?(Pathname) && Pathname === value ? clear(value.to_s) : Recorder::Unclear.new(value.class.to_s)
        end
      end

      # A text that contains an Unknown is unclear as well.
      def clear(value)
        text = text_of(value)
        return text unless text.include?(MARK)

        alone = text[/\A#{MARK}([^#{MARK}]*)#{MARK}\z/, 1]
        Recorder::Unclear.new(alone || "\"#{text.gsub(/#{MARK}(.*?)#{MARK}/) { "\#{#{$1}}" }}\"")
      end

      def text_of(value)
        String.new(value.to_s, encoding: Encoding::UTF_8).scrub("?")
      end

      # A value that is not known: any method returns another one. In a text, it leaves its own between two MARKs.
      class Unknown < BasicObject
        HOOKS = %i[on_booted after_booted on_stopped after_stopped on_restart before_restart register].freeze

        def self.text_of(unknown)
          unknown.instance_eval { @text }
        end

        def initialize(evaluation, text)
          @evaluation = evaluation
          @text = text
        end

        def method_missing(name, *arguments, **, &block)
          @evaluation.call(name, arguments, block) if block && HOOKS.include?(name)
          @evaluation.unknown(@text.size > 60 ? @text : "#{@text}.#{name}")
        end

        def respond_to_missing?(*) = true

        def respond_to?(name, *) = !%i[to_ary to_hash to_proc to_io].include?(name)

        def to_s = "#{MARK}#{@text}#{MARK}"
        alias to_str to_s
        alias to_path to_s
        alias inspect to_s

        def class = Unknown

        def is_a?(*) = false
        alias kind_of? is_a?

        def nil? = false

        def coerce(_other) = [self, self]

        def ==(_other) = false
        alias eql? ==

        def hash = 0
      end

      # What ENV is in the file.
      class Environment
        def initialize(evaluation)
          @evaluation = evaluation
        end

        def [](name) = @evaluation.read_variable(name.to_str)

        def []=(name, value)
          ENV[name.to_str] = value
        end

        def fetch(name, *default)
          value = @evaluation.read_variable(name.to_str)
          return value unless value.nil?
          return yield(name) if block_given?

          default.empty? ? @evaluation.unknown("ENV.fetch(#{name.inspect})") : default.first
        end

        def key?(name) = !@evaluation.read_variable(name.to_str).nil?
        alias has_key? key?
        alias include? key?
        alias member? key?

        def method_missing(name, ...) = ENV.public_send(name, ...)

        def respond_to_missing?(name, all = false) = ENV.respond_to?(name, all)
      end

      # The object in which the file is evaluated.
      class Context
        def initialize(evaluation)
          @kino = evaluation
          @config = evaluation.unknown("@config")
          @options = evaluation.unknown("@options")
          singleton_class.const_set(:ENV, Environment.new(evaluation))
          # From the top level, so that no constant of the file is looked up in this program's modules.
          @binding = TOPLEVEL_BINDING.eval("proc { |object| object.instance_eval('binding') }").call(self)
        end

        def kino_binding = @binding

        # Kernel has some of these names.
        Directives.names.each do |name|
          define_method(name) { |*arguments, &block| @kino.call(name, arguments, block) }
        end

        # What must not happen only because a file is translated.
        HIDDEN.each do |name|
          define_method(name) do |*arguments, **, &block|
            @kino.call(name, arguments, block)
            @kino.unknown(name.to_s)
          end
        end

        def Integer(value, *) = Unknown === value ? value : super

        def Float(value, *) = Unknown === value ? value : super

        def inject(&block) = instance_eval(&block)

        def get(key, default = nil) = default.nil? ? @kino.unknown("get(#{key.inspect})") : default

        def default_host = "0.0.0.0"

        def require(name)
          super
        rescue LoadError
          @kino.call(:require, [name], nil)
        end

        def method_missing(name, *arguments, &block)
          @kino.call(name, arguments, block)
        end

        def respond_to_missing?(*) = true

        def inspect = "the configuration file"
      end
    end
  end
end
