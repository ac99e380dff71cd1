# frozen_string_literal: true

require_relative "config_line"
require_relative "options"
require_relative "../workers/hooks"

module Kino
  # A configuration file: Ruby, one method per option. Mistakes do not end its evaluation, so all of them can be shown at once.
  class ConfigFile
    PLACES = ["kino.rb", "config/kino.rb"].freeze

    # By option name: the value and its ConfigLine.
    attr_reader :values
    # The path, as messages show it.
    attr_reader :path
    # By the name of a hook: its callables.
    attr_reader :hooks
    # A message for each mistake.
    attr_reader :mistakes

    # The file at +path+, or without one the first of PLACES in the current directory, or nil.
    def self.find(path = nil)
      path ||= PLACES.find { |place| File.file?(place) }
      path && new(path)
    end

    def initialize(path)
      @path = path
      # Absolute, so that __dir__ and require_relative work in the file.
      @full_path = File.expand_path(path)
      @values = {}
      @hooks = {}
      @mistakes = []
      @text = read
      @lines = @text.scrub("?").lines
      evaluate(Directives.new(self).kino_binding)
    end

    # Sets an option, or notes why that is a mistake. +caller_line+ is the Thread::Backtrace::Location of the directive.
    def directive(name, arguments, caller_line)
      line = line(caller_line.lineno, caller_line.path)
      option = Options.fetch(name, line)
      given = value_of(option, arguments, line)
      # Parsed here as well, so that a repeated directive adds to the value.
      value = option.parse(given, line)
      @values[name] = option.repeatable? && @values.key?(name) ? @values[name].zip([value, line]).map { |both| both.inject(:+) } : [value, line]
    rescue ConfigError => e
      # An unknown name returns nil, and has been reported: as an argument, it is no further mistake.
      @mistakes << e.message unless arguments.include?(nil) && mistaken?(line)
    end

    # Adds a hook: a block, or an object with #call.
    def hook(name, callables, caller_line)
      line = line(caller_line.lineno, caller_line.path)
      fit = !callables.empty? && callables.all? { |one| one.respond_to?(:call) }
      return @mistakes << "#{line}: #{name} needs a block, or an object with #call#{line.excerpt(name)}" unless fit

      (@hooks[name] ||= []).concat(callables)
    end

    # Notes that the file calls +name+, which is no option.
    def unknown(name, caller_line)
      line = line(caller_line.lineno, caller_line.path)
      option = name.to_s.delete_suffix("=").to_sym
      if option != name && Options.names.include?(option)
        @mistakes << "#{line}: a value is not assigned; write `#{option} VALUE`#{line.excerpt(option)}"
      elsif (sentence = of_puma(name))
        @mistakes << "#{line}: #{name} is a directive of Puma, not of kino; #{sentence}#{line.excerpt(name)}"
      else
        Options.fetch(name, line)
      end
      nil
    rescue ConfigError => e
      @mistakes << e.message
      nil
    end

    private

    # What becomes of a directive of Puma's configuration files, or nil.
    def of_puma(name)
      require_relative "../puma_config/directives"
      PumaConfig::Directives.sentence(name)
    end

    def mistaken?(line) = @mistakes.any? { |message| message.start_with?("#{line}:") }

    def read
      raise ConfigError, "#{path} is a directory, not a configuration file" if File.directory?(path)

      File.read(path, encoding: "bom|utf-8")
    rescue Errno::ENOENT
      raise ConfigError, "no configuration file #{path}; write one with `kino --init #{path}`"
    rescue SystemCallError => e
      raise ConfigError, "cannot read the configuration file #{path}: #{e.message.sub(/ @ .*/, "")}"
    end

    def value_of(option, arguments, line)
      name = option.name
      raise ConfigError, "#{line}: #{name} needs a value, such as `#{option.directive}`#{line.excerpt}" if arguments.empty?
      return arguments.flatten(1) if option.repeatable?
      return arguments.first if arguments.size == 1

      raise ConfigError, "#{line}: #{name} takes one value, not #{arguments.map { |one| OptionTypes.inspected(one) }.join(", ")}#{line.excerpt}"
    end

    def evaluate(context)
      context.eval(@text, @full_path, 1)
    rescue SyntaxError => e
      message = e.message.scrub("?").gsub(/^#{Regexp.escape(@full_path)}:/, "#{path}:").gsub(/[[:cntrl:]&&[^\n\t]]/, "?")
      @mistakes << "#{path} is not valid Ruby:\n#{message.chomp}"
    rescue StandardError, ScriptError, SystemStackError, NoMemoryError => e
      raised(e)
    ensure
      refuse_assignments(context)
    end

    # After an unknown directive, which returned nil, an error in the same line is its consequence.
    def raised(error)
      frames = (error.backtrace_locations || []).select { |one| [one.absolute_path, one.path].include?(@full_path) }
      line = frames.first && line(frames.first.lineno)
      unless line && mistaken?(line)
        @mistakes << "#{line || path}: #{error.message.scrub("?").lines.first&.chomp} (#{error.class})#{line&.excerpt}"
      end
      last = frames.last&.lineno
      @mistakes[-1] += "\n    (the lines after #{last} have not been evaluated)" if last && last < @lines.size
    end

    # Ruby takes "port = 3000" for a local variable of the file.
    def refuse_assignments(context)
      (context.local_variables & Options.names - @values.keys).each do |name|
        number = @lines.index { |text| text.match?(/^\s*#{name}\s*=/) }
        line = number && line(number + 1)
        @mistakes << "#{line || path}: `#{name} = ...` sets a local variable, not the option; write " \
                     "`#{name} #{OptionTypes.inspected(context.local_variable_get(name))}`#{line&.excerpt(name)}"
      end
    end

    # A line of this file, or of another one that it loads.
    def line(number, file = @full_path)
      return ConfigLine.new(path, number, @lines[number - 1]) if file == @full_path

      ConfigLine.new(file, number, File.file?(file) ? File.foreach(file).first(number)[number - 1] : nil)
    end

    # The object in which a configuration file is evaluated. Every option is a method; any other
    # call is a mistake.
    class Directives
      def initialize(file)
        @kino_file = file
      end

      Options.names.each do |name|
        define_method(name) do |*arguments|
          @kino_file.directive(name, arguments, caller_locations(1, 1).first)
        end
      end

      Hooks::NAMES.each do |name|
        define_method(name) do |*callables, &block|
          @kino_file.hook(name, [*callables, *block], caller_locations(1, 1).first)
        end
      end

      def kino_binding
        binding
      end

      # Without the text of the file, which may contain a key.
      def inspect
        "the configuration file"
      end

      def method_missing(name, *_arguments)
        @kino_file.unknown(name, caller_locations(1, 1).first)
      end

      def respond_to_missing?(_name, _include_private = false)
        false
      end
    end
  end
end
