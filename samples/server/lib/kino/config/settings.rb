# frozen_string_literal: true

require_relative "environment"
require_relative "options"

module Kino
  # The options of one server with the source of each. Flags and keywords override the environment, which
  # overrides the configuration file, which overrides defaults.
  class Settings
    # +place+: what messages about the value begin with; nil for a default, and for the argument, which needs none.
    Setting = Struct.new(:value, :source, :place)

    # +given+: flags or keywords, by name; +given_as+ is what they are called, and +places+ yields the text before an
    # error about one. +file+: a ConfigFile or nil. +defaults+: replacements for the table's defaults (for example,
    # an embedded server listens on a free port). +table+: the options; those of the command include some that a server
    # does not know. +mistakes+: messages about flags, found earlier.
    #
    # Raises one ConfigError with every mistake of all sources.
    def initialize(given = {}, given_as: "keyword", places: nil, file: nil, defaults: {}, env: ENV, table: Options::SERVER, mistakes: [])
      @hooks = file ? file.hooks : {}
      @places = places || ->(_) { given_as }
      @mistakes = mistakes.dup
      refuse_unknown(given, given_as, table)
      env = Environment.new(env)
      @settings = table.to_h do |option|
        [option.name, resolve(option, given, given_as, file, defaults, env)]
      end
      ConfigError.raise_all(@mistakes + (file&.mistakes || []))
      @remarks = env.remarks + of_the_command(table, file, env)
    end

    # Sentences about KINO_* variables and directives that set nothing.
    attr_reader :remarks

    # Blocks and callables of the configuration file, by hook.
    attr_reader :hooks

    def [](name)
      @settings.fetch(name).value
    end

    # What set it: "keyword", "argument", "KINO_PORT", "kino.rb:3" or :default.
    def source(name)
      @settings.fetch(name).source
    end

    # Runs the block. An error in it about the value of an option, which shows only when the value is used, says where the value
    # is from: +names+ are the options that it may be about, and the first that has been set is meant.
    def placed(*names)
      yield
    rescue ConfigError, BindError, PidFileError => e
      name = names.find { |one| @settings.fetch(one).place } or raise
      raise e.class, sentence(name, e.message), e.backtrace, cause: e.cause
    end

    # Fills in defaults that depend on the machine or the mode; does not change given values.
    def settle(name)
      setting = @settings.fetch(name)
      setting.value = yield if setting.value.nil?
    end

    # All settings that are not defaults: [[name, value, source]].
    def chosen
      @settings.reject { |_, setting| setting.source == :default }
               .map { |name, setting| [name, setting.value, setting.source] }
    end

    # Those that the native server uses, except the ones without a value.
    def native
      @settings.select { |name, setting| Options.fetch(name).native? && !setting.value.nil? }
               .transform_values(&:value)
    end

    private

    # The place, the name of the option unless the place is named like it, and +message+, which may have the name already.
    def sentence(name, message)
      option = Options.fetch(name)
      place = @settings.fetch(name).place
      return "#{place}: #{message.delete_prefix("#{name}: ")}" if [option.long_flag, option.env].include?(place)

      "#{place}: #{"#{name}: " unless message.start_with?(name.to_s)}#{message}"
    end

    def refuse_unknown(given, given_as, table)
      given.each_key do |name|
        table == Options::TABLE ? Options.fetch(name, given_as) : Options.of_server(name, given_as)
      rescue ConfigError => e
        @mistakes << e.message
      end
    end

    def of_the_command(table, file, env)
      (Options::TABLE - table).flat_map do |option|
        places = [*(option.env if env[option]), *file&.values&.[](option.name)&.last]
        places.map { |place| "#{place}: #{option.name} has no effect, because only the command kino has this option" }
      end
    end

    def resolve(option, given, given_as, file, defaults, env)
      name = option.name
      if given.key?(name) && !given[name].nil?
        place = @places.call(option)
        value = option.parse(given[name], place)
        option.argument? ? Setting.new(value, "argument") : Setting.new(value, given_as, place)
      elsif env[option]
        Setting.new(option.parse(env[option], option.env), option.env, option.env)
      elsif file&.values&.key?(name)
        value, line = file.values[name]
        Setting.new(value, line.to_s, line.to_s)
      else
        value = defaults.fetch(name, option.default)
        Setting.new(value.nil? ? nil : option.parse(value, "default"), :default)
      end
    rescue ConfigError => e
      @mistakes << e.message
      Setting.new(nil, :default)
    end
  end
end
