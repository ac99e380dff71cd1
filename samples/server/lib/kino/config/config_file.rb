# frozen_string_literal: true

require_relative "options"

module Kino
  # A configuration file: Ruby, one method per option, and `rackup` for the app's file.
  class ConfigFile
    PLACES = ["kino.rb", "config/kino.rb"].freeze

    # By option name: the value and its location ("kino.rb:3").
    attr_reader :values
    attr_reader :path, :rackup

    # The file at +path+, or without one the first of PLACES in +directory+, or nil.
    def self.find(path = nil, directory: Dir.pwd)
      if path
        raise ConfigError, "no configuration file #{path}; write one with `kino --init #{path}`" unless File.file?(path)

        return new(path)
      end
      found = PLACES.map { |place| File.join(directory, place) }.find { |place| File.file?(place) }
      found && new(found)
    end

    def initialize(path)
      @path = path
      @values = {}
      @rackup = nil
      evaluate(Directives.new(self).kino_binding)
    rescue SyntaxError => e
      raise ConfigError, "#{path} is not valid Ruby: #{e.message}"
    rescue StandardError, LoadError => e
      raise if e.is_a?(Error)

      line = e.backtrace_locations&.find { |place| place.path == path }&.lineno
      raise ConfigError, "#{[path, line].compact.join(":")}: #{e.message.lines.first&.chomp} (#{e.class})"
    end

    def directive(name, arguments, place)
      if name == :rackup
        raise ConfigError, "#{place}: rackup takes one path" unless arguments.size == 1

        @rackup = arguments[0].to_s
      else
        option = Options.fetch(name, place)
        raise ConfigError, "#{place}: #{name} needs a value" if arguments.empty?

        if arguments.size > 1 && !option.repeatable?
          raise ConfigError, "#{place}: #{name} takes one value, not #{arguments.map(&:inspect).join(", ")}"
        end

        given = option.repeatable? ? arguments.flatten : arguments[0]
        # Parsed here as well, so the error names the line.
        value = option.parse(given, place)
        # A second line adds a certificate; other options are replaced.
        value = @values[name].first + value if option.type == :tls && @values.key?(name)
        @values[name] = [value, place]
      end
    end

    private

    def evaluate(context)
      context.eval(File.read(path), path, 1)
      # Ruby takes "port = 3000" for a local variable of the file.
      name = (context.local_variables & [:rackup, *Options.names]).first or return
      raise ConfigError, "#{path}: `#{name} = ...` sets a local variable, not the option; write `#{name} #{context.local_variable_get(name).inspect}`"
    end

    # The object in which a configuration file is evaluated. Every option is a method; any other
    # call raises a ConfigError that suggests an option.
    class Directives
      def initialize(file)
        @kino_file = file
      end

      [:rackup, *Options.names].each do |name|
        define_method(name) do |*arguments|
          place = caller_locations(1, 1).first
          @kino_file.directive(name, arguments, "#{place.path}:#{place.lineno}")
        end
      end

      def kino_binding
        binding
      end

      def method_missing(name, *arguments)
        return super if arguments.empty? && !name.match?(/\A[a-z_]+\z/)

        place = caller_locations(1, 1).first
        Options.fetch(name, "#{place.path}:#{place.lineno}")
      end

      def respond_to_missing?(_name, _include_private = false)
        false
      end
    end

    # The text that --init writes: every option, commented out, with its default.
    def self.template
      lines = ["# Configuration of kino, the Rack server. Flags and KINO_* variables override this file.", "",
               "# rackup \"config.ru\""]
      Options::TABLE.each do |option|
        lines << "" << "# #{option.help[0].upcase}#{option.help[1..]} (#{[option.range_text, "default #{option.default_text}"].compact.join("; ")})"
        lines << "# #{option.name} #{option.example}"
      end
      "#{lines.join("\n")}\n"
    end
  end
end
