# frozen_string_literal: true

require "optparse"

require_relative "options"

module Kino
  # The arguments of the command kino: flags of the option table, commands, and the rackup file.
  class CommandLine
    # What the command does instead of serving: long flag, argument, short flag, meaning.
    Command = Struct.new(:name, :argument, :flag, :help, :words) do
      def long_flag = "--#{name.to_s.tr("_", "-")}"
    end

    SHELLS = %w[bash zsh].freeze
    COMMANDS = [
      Command.new(:init, "[PATH]", nil, "write a commented configuration file (default: kino.rb) and exit"),
      Command.new(:check_config, nil, nil, "check flags, environment and configuration file, print the effective settings and exit; " \
                                           "status 1 if there is a mistake"),
      Command.new(:check, nil, nil, "check whether the app can run in Ractors (status 0) or not (1), and list the reasons and fixes; " \
                                    "and whether the certificates can be used"),
      Command.new(:completion, "SHELL", nil, "print the completion script for #{SHELLS.join(" or ")} and exit", SHELLS),
      Command.new(:version, nil, "-v", "print the version"),
      Command.new(:help, nil, "-h", "print this")
    ].freeze
    # Of --check.
    MODIFIERS = [
      Command.new(:check_path, "TARGET", nil, "as --check, and send GET TARGET, such as /up, to the app in a Ractor"),
      Command.new(:json, nil, nil, "print the result of --check as JSON")
    ].freeze
    CONFIG = Command.new(:config, "FILE", "-C", "configuration file (default: kino.rb, else config/kino.rb, if it exists)")
    FROM = Command.new(:from, "FILE", nil, "with --init: translate a configuration file of Puma, such as config/puma.rb, and say " \
                                           "line by line what became of it")
    RAILS = Command.new(:rails, nil, nil, "run a Rails application in Ractors if it can, with the gem kino-rails of its Gemfile: as " \
                                          "config.kino.ractors = true")
    OTHERS = [CONFIG, RAILS, FROM, *COMMANDS, *MODIFIERS].freeze

    INTRODUCTION = <<~TEXT
      Usage: kino [options] [rackup file]
             kino ctl COMMAND       asks a running server; see kino ctl --help

      Serves a Rack app. Every option is also a variable of the
      environment, and a directive of the configuration file: --queue-depth 64,
      KINO_QUEUE_DEPTH=64 and `queue_depth 64` are the same. Flags override the
      environment, which overrides the file. Times are in seconds or have a unit
      (500ms, 30s, 5m, 1h, 1d), sizes are in bytes or have a unit (64k, 50m, 1g).
    TEXT
    SWITCHES_WIDTH = 28
    TEXT_WIDTH = 46

    # The command, its argument, the configuration file, and the file to translate, if given.
    attr_reader :command, :argument, :config, :from
    # Whether the result of --check is JSON, and the target of its request or nil.
    attr_reader :json, :check_path
    # Whether a Rails application shall run in Ractors.
    attr_reader :rails
    # By option name: the text of the flag, those of a repeated one with its separator between; true or false for a switch.
    attr_reader :flags
    # A message for each mistake.
    attr_reader :mistakes

    def initialize(arguments)
      @command = :serve
      @flags = {}
      @mistakes = []
      @files = []
      parse(arguments.dup)
    end

    # The rackup file, or nil.
    def rackup = @files.first

    def self.help = new([]).help

    def help = parser.help

    private

    def parse(arguments)
      begin
        parser.order!(arguments) { |file| @files << file }
      rescue OptionParser::ParseError => e
        @mistakes << message(e)
        retry
      end
      @files.concat(arguments)
      @mistakes << "--from needs --init: kino --init kino.rb --from #{@from}" if @from && @command != :init
      @mistakes << "--json needs --check" if @json && @command != :check
      @mistakes << "--check-path takes a path like /up, not #{@check_path}" unless @check_path.nil? || @check_path.match?(%r{\A/\S*\z})
      # The value of an unknown flag looks like a file.
      @mistakes << "only one rackup file can be given, not #{@files.join(" ")}" if @files.size > 1 && @mistakes.empty?
    end

    def parser
      OptionParser.new(INTRODUCTION, SWITCHES_WIDTH, "  ") do |parser|
        Options.by_group.each do |title, options|
          parser.separator("\n#{title}:")
          options.each { |option| option.argument? ? describe(parser, option) : add(parser, option) }
        end
        parser.separator("\nOther:")
        on(parser, CONFIG) { |path| @config = path }
        on(parser, RAILS) { @rails = true }
        COMMANDS.each do |command|
          on(parser, command) { |argument| @command, @argument = command.name, argument }
          add_modifiers(parser, command.name)
        end
        refuse_other_letters(parser)
        parser.separator("\nThe configuration file can have hooks, too: --init lists them with all options.")
      end
    end

    # Beside the command that they belong to.
    def add_modifiers(parser, command)
      check_path, json = MODIFIERS
      case command
      when :init then on(parser, FROM) { |path| @from = path }
      when :check
        on(parser, check_path) { |target| @command, @check_path = :check, target }
        on(parser, json) { @json = true }
      end
    end

    # Otherwise OptionParser takes -d for an abbreviation of the only long flag that begins with d.
    def refuse_other_letters(parser)
      [*"a".."z", *"A".."Z"].each do |letter|
        parser.top.short[letter] ||= OptionParser::Switch::NoArgument.new { raise OptionParser::InvalidOption, "-#{letter}" }
      end
    end

    def add(parser, option)
      long = option.type.switch? ? "--[no-]#{option.long_flag.delete_prefix("--")}" : "#{option.long_flag} #{option.metavar}"
      parser.on(*[option.flag, long].compact, *folded(option.help), *facts(option)) do |value|
        earlier = option.repeatable? ? @flags[option.name] : nil
        @flags[option.name] = earlier ? "#{earlier}#{option.type.separator}#{value}" : value
      end
    end

    # An argument has no flag.
    def describe(parser, option)
      first, *rest = folded(option.help) + facts(option)
      parser.separator("  #{option.metavar.ljust(SWITCHES_WIDTH)} #{first}")
      rest.each { |line| parser.separator("  #{" " * SWITCHES_WIDTH} #{line}") }
    end

    def on(parser, command, &block)
      switches = [command.flag, "#{command.long_flag} #{command.argument}".strip].compact
      parser.on(*switches, *([command.words] if command.words), *folded(command.help), &block)
    end

    # The text, folded to fit beside the switches.
    def folded(text)
      text.scan(/\S.{0,#{TEXT_WIDTH - 2}}\S(?=\s|\z)|\S+/)
    end

    # Variable, accepted values and default, folded between them where possible.
    def facts(option)
      parts = [option.env, *option.facts].map.with_index { |part, at| "#{"(" if at.zero?}#{part}#{at == option.facts.size ? ")" : ";"}" }
      parts = parts.flat_map { |part| part.size > TEXT_WIDTH ? folded(part) : [part] }
      lines = [+""]
      parts.each do |part|
        lines << +"" if !lines.last.empty? && lines.last.size + part.size >= TEXT_WIDTH
        lines.last << " " unless lines.last.empty?
        lines.last << part
      end
      lines
    end

    def message(error)
      given = error.args.first.to_s.scrub("?")
      flag, value = given.split("=", 2)
      case error
      when OptionParser::AmbiguousOption then "#{flag} is ambiguous; it could be #{flags_like(flag).join(" or ")}"
      when OptionParser::InvalidOption then "unknown option #{flag}#{suggestion(flag)}"
      when OptionParser::MissingArgument then "#{flag} needs a value: #{flag} #{metavar(flag)}"
      when OptionParser::NeedlessArgument then "#{flag} takes no value, not #{value}#{instead_of_value(flag)}"
      else "#{error.args.join(" ").scrub("?")}: it takes #{SHELLS.join(" or ")}"
      end
    end

    def long_flags
      Options::TABLE.filter_map(&:long_flag) + OTHERS.map(&:long_flag)
    end

    def flags_like(flag)
      long_flags.select { |long| long.start_with?(flag) }
    end

    def metavar(flag)
      option = Options::TABLE.find { |one| [one.flag, one.long_flag].include?(flag) } and return option.metavar

      OTHERS.find { |command| [command.flag, command.long_flag].include?(flag) }&.argument
    end

    def instead_of_value(flag)
      switch = Options::TABLE.any? { |option| option.long_flag == flag && option.type.switch? }
      "; write #{flag} or --no-#{flag.delete_prefix("--")}" if switch
    end

    def suggestion(flag)
      near = Spelling.nearest(flag, long_flags)
      near ? "; did you mean #{near}?" : "; `kino --help` lists the options"
    end
  end
end
