# frozen_string_literal: true

require_relative "../errors"

module Kino
  # One row of the option table: an option's names, accepted values and meaning.
  class Option
    UNITS = {
      seconds: { "ms" => 0.001, "s" => 1, "m" => 60, "h" => 3600 },
      bytes: { "k" => 1 << 10, "m" => 1 << 20, "g" => 1 << 30 }
    }.freeze
    METAVARS = { integer: "N", seconds: "SECONDS", bytes: "BYTES", choice: "NAME", boolean: "BOOL", list: "VALUE", tls: "cert=FILE,key=FILE" }.freeze

    attr_reader :name, :type, :default, :range, :flag, :help, :metavar

    def initialize(name, type, default, range: nil, flag: nil, metavar: METAVARS.fetch(type), default_text: nil, help: nil, each: nil, each_text: nil)
      @name = name
      @type = type
      @default = default
      @range = range
      @flag = flag
      @metavar = metavar
      @default_text = default_text
      @help = help
      @each = each
      @each_text = each_text
      freeze
    end

    # The long command line flag.
    def long_flag
      "--#{name.to_s.tr("_", "-")}"
    end

    def env
      "KINO_#{name.to_s.upcase}"
    end

    def default_text
      @default_text || human(default)
    end

    # A description of the accepted values; nil if any value is accepted.
    def range_text
      case type
      when :choice then range.join(", ")
      when :boolean then "true, false"
      when :list, :tls then nil
      else "#{human(range.begin)} to #{human(range.end)}"
      end
    end

    # Whether several values of one source add up.
    def repeatable?
      type == :list
    end

    # A value as one line, for people.
    def shown(value)
      Array(value).join(" ")
    end

    # The value as a directive of the configuration file.
    def example
      default.nil? ? "..." : default.inspect
    end

    # Converts +given+: a Ruby value from code, or a String from flags or the environment. +where+ is the
    # source of the value, for errors.
    def parse(given, where)
      value = convert(given)
      return value if !value.nil? && allowed?(value)

      raise ConfigError, "#{where}: #{given.inspect} is not a valid value for #{name}; it takes #{accepted}"
    end

    private

    def accepted
      case type
      when :integer then "an integer, #{range_text}"
      when :seconds then "a time in seconds or like 500ms, 30s, 5m, #{range_text}"
      when :bytes then "a size in bytes or like 64k, 50m, #{range_text}"
      when :list then ["one value or several", @each_text].compact.join(", each ")
      else range_text
      end
    end

    def allowed?(value)
      case type
      when :list then !value.empty? && (@each.nil? || value.all?(@each))
      when :boolean then true
      else range.include?(value)
      end
    end

    def convert(given)
      case type
      when :integer then integer(given)
      when :seconds, :bytes then measure(given)
      when :choice then given.to_sym if given.is_a?(String) || given.is_a?(Symbol)
      when :boolean then boolean(given)
      when :list then list(given)
      end
    end

    def integer(given)
      return given if given.is_a?(Integer)

      Integer(given, 10, exception: false) if given.is_a?(String)
    end

    def measure(given)
      return type == :bytes ? integer(given) : given if given.is_a?(Numeric)
      return unless given.is_a?(String)

      number, unit = given.downcase.match(/\A([0-9_.]+) *([a-z]*)\z/)&.captures
      factor = unit == "" ? 1 : UNITS.fetch(type)[unit.to_s.delete_suffix(type == :bytes ? "b" : "")]
      amount = Float(number, exception: false) if number
      return unless factor && amount

      type == :bytes ? (amount * factor).round : amount * factor
    end

    def boolean(given)
      { true => true, false => false, "true" => true, "false" => false, "1" => true, "0" => false }[given]
    end

    def list(given)
      values = given.is_a?(String) ? given.split(",").map(&:strip) : Array(given)
      values if values.all? { |value| value.is_a?(String) && !value.empty? }
    end

    def human(value)
      case type
      when :seconds then "#{value.is_a?(Float) && value == value.to_i ? value.to_i : value} s"
      when :bytes then human_bytes(value)
      else value.to_s
      end
    end

    def human_bytes(value)
      [["GiB", 30], ["MiB", 20], ["KiB", 10]].each do |unit, shift|
        return "#{value >> shift} #{unit}" if value >= 1 << shift && (value % (1 << shift)).zero?
      end
      "#{value} bytes"
    end
  end
end
