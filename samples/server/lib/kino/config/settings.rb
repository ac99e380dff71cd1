# frozen_string_literal: true

require_relative "options"

module Kino
  # The options of one server with the source of each. Flags and keywords override the environment, which
  # overrides the configuration file, which overrides defaults.
  class Settings
    Setting = Struct.new(:value, :source)

    # +given+: flags or keywords, by name. +file+: a ConfigFile or nil. +defaults+: replacements for the
    # table's defaults (for example, an embedded server listens on a free port).
    def initialize(given = {}, given_as: "keyword", file: nil, defaults: {}, env: ENV)
      given.each_key { |name| Options.fetch(name, given_as) }
      @settings = Options::TABLE.to_h do |option|
        [option.name, resolve(option, given, given_as, file, defaults, env)]
      end
      @unknown_variables = Options.unknown_variables(env)
    end

    # Sentences about KINO_* variables that set nothing.
    attr_reader :unknown_variables

    def [](name)
      @settings.fetch(name).value
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

    def to_h
      @settings.transform_values(&:value)
    end

    private

    def resolve(option, given, given_as, file, defaults, env)
      name = option.name
      variable = env[option.env]
      if given.key?(name) && !given[name].nil?
        Setting.new(option.parse(given[name], given_as), given_as)
      elsif variable && !variable.empty?
        Setting.new(option.parse(variable, option.env), option.env)
      elsif file&.values&.key?(name)
        value, place = file.values[name]
        Setting.new(option.parse(value, place), place)
      else
        value = defaults.fetch(name, option.default)
        Setting.new(value.nil? ? nil : option.parse(value, "default"), :default)
      end
    end
  end
end
