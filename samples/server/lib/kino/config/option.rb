# frozen_string_literal: true

require_relative "../errors"
require_relative "option_types"
require_relative "spelling"

module Kino
  # One row of the option table: an option's names, accepted values and meaning.
  class Option
    attr_reader :name, :default, :example, :group, :flag, :help, :type

    # +type+: a key of OptionTypes::TYPES, with its constraints +range+, +each+ and +each_text+; or a type.
    # +default+: nil if it depends on the machine or the mode; +default_text+ describes it then, and +example+ is a value.
    # +group+: a key of Options::GROUPS.
    # +flag+: the short flag; false: the command takes it as an argument.
    # +native+: whether the native server uses it, under the same name; else Ruby code does.
    # +command_only+: whether only the command kino has it, not Kino::Server.new.
    def initialize(name, type, default, group:, help:, flag: nil, metavar: nil, default_text: nil, example: nil,
                   native: true, command_only: false, **constraints)
      @name = name
      @type = OptionTypes.build(type, **constraints)
      @default = default.nil? ? nil : @type.parse(default, name)
      @group = group
      @help = help
      @flag = flag
      @metavar = metavar
      @default_text = default_text
      @example = example.nil? ? @default : @type.parse(example, name)
      @native = native
      @command_only = command_only
      freeze
    end

    def native? = @native

    def command_only? = @command_only

    def argument? = flag == false

    def metavar = @metavar || type.metavar

    # The long command line flag; nil for an argument.
    def long_flag
      "--#{name.to_s.tr("_", "-")}" unless argument?
    end

    def env = "KINO_#{name.to_s.upcase}"

    def default_text = @default_text || type.show(default)

    # Whether several values of one source add up.
    def repeatable? = type.repeatable?

    # A description of the accepted values; nil if there is nothing to say.
    def range_text = type.range_text

    # Accepted values and default.
    def facts = [range_text, "default #{default_text}"].compact

    # A value as one line, for people.
    def show(value) = value.nil? ? default_text : type.show(value).gsub(/[[:cntrl:]]/, "?")

    # An example as a directive of a configuration file.
    def directive(value = example) = "#{name} #{type.literal(value)}"

    # Converts +given+: a Ruby value from code, or a String from flags or the environment. +where+ is the
    # source of the value, for errors: a String, or a line of a configuration file.
    def parse(given, where)
      type.parse(given, name)
    rescue OptionTypes::Unacceptable => e
      raise ConfigError, "#{where}: #{e.message}#{where.excerpt if where.respond_to?(:excerpt) && !type.secret?}"
    end
  end
end
