# frozen_string_literal: true

require_relative "option_type"

module Kino
  # The types of times, sizes and rates.
  module OptionTypes
    # A number with an optional unit. A subclass has the UNITS and #number.
    class Measure < Type
      def range_text = "#{show(range.begin)} to #{show(range.end)}"

      private

      def convert(given)
        return number(given) unless String === given

        digits, unit = given.downcase.match(/\A([0-9_.]+) *([a-z\/]*)\z/)&.captures
        amount = Float(digits, exception: false) if digits
        factor = unit == "" ? 1 : self.class::UNITS[unit]
        number(factor == 1 && amount == amount.to_i ? amount.to_i : amount * factor) if factor && amount&.finite?
      end
    end

    # A time in seconds.
    class Seconds < Measure
      UNITS = { "ms" => 0.001, "s" => 1, "m" => 60, "min" => 60, "h" => 3600, "d" => 86_400 }.freeze
      STEPS = [["h", 3600], ["min", 60], ["s", 1]].freeze

      def metavar = "TIME"

      def accepted = "a time in seconds or like 500ms, 30s, 5m, from #{range_text}"

      # In the largest unit without a fraction.
      def show(value)
        unit, size = STEPS.find { |_, seconds| value >= seconds && (value % seconds).zero? }
        return "#{(value / size).to_i} #{unit}" if unit
        return "0 s" if value.zero?

        value >= 1 ? "#{value} s" : "#{short(value * 1000)} ms"
      end

      def literal(value) = (value == value.to_i ? value.to_i : value).inspect

      private

      def short(number) = number == number.round ? number.round : number.round(3)

      def number(given)
        case given
        when Integer then given
        when Float then given if given.finite?
        when Rational then given.to_f
        end
      end
    end

    # A size in bytes.
    class Bytes < Measure
      UNITS = { "k" => 10, "m" => 20, "g" => 30, "t" => 40, "p" => 50 }.flat_map do |letter, bits|
        [letter, "#{letter}b", "#{letter}ib"].map { |unit| [unit, 1 << bits] }
      end.to_h.merge("b" => 1, "byte" => 1, "bytes" => 1).freeze
      STEPS = [["PiB", 50], ["TiB", 40], ["GiB", 30], ["MiB", 20], ["KiB", 10]].freeze

      def metavar = "SIZE"

      def accepted = "a size in bytes or like 64k, 50m, 1g, from #{range_text}"

      def show(value) = in_unit(value) || (value.zero? ? "0" : "#{value} byte#{"s" unless value == 1}")

      def literal(value) = (in_unit(value) || value).inspect

      private

      # In the largest unit without a fraction; nil if that is a byte.
      def in_unit(value)
        unit, bits = STEPS.find { |_, shift| value >= 1 << shift && (value % (1 << shift)).zero? }
        "#{value >> bits} #{unit}" if unit
      end

      def number(given)
        case given
        when Integer then given
        when Float then given.round if given.finite? # of a String like 1.5k
        end
      end

      def convert(given)
        super unless Float === given
      end
    end

    # A size per second.
    class Rate < Bytes
      def metavar = "RATE"

      def accepted = "a number of bytes per second, also like 64k, from #{range_text}"

      def show(value) = value.zero? ? "0" : "#{super}/s"
    end
  end
end
