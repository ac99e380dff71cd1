# frozen_string_literal: true

require_relative "spelling"

module Kino
  # The types of options: option_types.rb has a list.
  module OptionTypes
    # Raised by #parse; the message says what is wrong and what would be right.
    class Unacceptable < StandardError; end

    INSPECTED = 80

    # +given+ in an error message; objects of any kind, also such as BasicObject or with a broken #inspect.
    def self.inspected(given)
      text = given.inspect
      text.size > INSPECTED ? "#{text[0, INSPECTED]}..." : text
    rescue StandardError
      "an object of #{Kernel.instance_method(:class).bind_call(given)}"
    end

    # A text in UTF-8; Ruby takes flags and variables for US-ASCII in the locale C. Other objects as they are.
    def self.utf8(given)
      return given unless String === given && [Encoding::US_ASCII, Encoding::BINARY].include?(given.encoding)

      String.new(given, encoding: Encoding::UTF_8)
    end

    # What types have in common. A type converts and checks a value, a Ruby object from code or a String from a flag or
    # the environment, and writes a value as text. A subclass defines #convert.
    class Type
      def initialize(range: nil)
        @range = range
      end

      attr_reader :range

      # The value. Raises Unacceptable.
      def parse(given, name)
        given = OptionTypes.utf8(given)
        readable = !(String === given) || given.valid_encoding?
        value = convert(given) if readable
        return value if !value.nil? && allowed?(value)

        raise Unacceptable, "#{OptionTypes.inspected(given)} is not a valid value for #{name}; it takes #{accepted}#{suggestion(given)}"
      end

      def metavar = "VALUE"

      # A description of the accepted values; nil if there is nothing to say.
      def range_text = nil

      def accepted = range_text

      # Whether several values of one source add up.
      def repeatable? = false

      # Whether no message may show a value.
      def secret? = false

      # Whether it is on or off, so its flag takes no argument.
      def switch? = false

      # The possible values, for the completion of a shell; empty: any.
      def words = []

      # Whether a shell completes it with the names of files.
      def file? = false

      # For people, on one line.
      def show(value) = value.to_s

      # As a flag or an environment variable has it.
      def text(value) = value.to_s

      # As the arguments of a directive in a configuration file.
      def literal(value) = value.inspect

      private

      def allowed?(value) = range.nil? || range.cover?(value)

      def suggestion(_given) = ""

      # A suggestion for a type whose values are names.
      def nearest_word(given)
        near = Spelling.nearest(given, words) if String === given || Symbol === given
        near ? "; did you mean #{near}?" : ""
      end
    end
  end
end
