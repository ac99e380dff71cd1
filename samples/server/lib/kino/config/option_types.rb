# frozen_string_literal: true

require_relative "../errors"
require_relative "../listen/address"
require_relative "measures"
require_relative "option_type"
require_relative "spelling"

module Kino
  # The types of options, by their names in the table. One that is used once, such as TLSType, is given to its row as an object.
  module OptionTypes
    # A number of things.
    class Count < Type
      def metavar = "N"

      def accepted = "an integer, #{range_text}"

      def range_text = "#{range.begin} to #{range.end}"

      private

      def convert(given)
        case given
        when Integer then given
        when String then Integer(given, 10, exception: false)
        end
      end

      # Puma's form of threads.
      def suggestion(given)
        most = given[/\A\d+[:,] ?(\d+)\z/, 1] if String === given && given.valid_encoding?
        most ? "; there is no minimum and maximum: write #{most}" : ""
      end
    end

    # One of some names.
    class Choice < Type
      def metavar = "NAME"

      def range_text = range.join(", ")

      def words = range.map(&:to_s)

      private

      def allowed?(value) = range.include?(value)

      def convert(given)
        given.to_sym if String === given || Symbol === given
      end

      def suggestion(given) = nearest_word(given)
    end

    # On or off.
    class Switch < Type
      VALUES = { true => true, false => false, "true" => true, "false" => false, "1" => true, "0" => false,
                 "yes" => true, "no" => false, "on" => true, "off" => false }.freeze

      def metavar = "BOOL"

      def range_text = "true, false"

      def switch? = true

      def words = %w[true false]

      private

      def convert(given)
        VALUES[String === given ? given.downcase : given] if [true, false].include?(given) || String === given
      end
    end

    # A word or several, on one line.
    class Text < Type
      def metavar = "TEXT"

      def accepted = "a text on one line"

      private

      def convert(given)
        given = given.to_s if Symbol === given
        given if String === given && given.valid_encoding? && given.match?(/\S/) && !given.match?(/[[:cntrl:]]/)
      end
    end

    # The path of a file.
    class Path < Type
      def metavar = "FILE"

      def accepted = "the path of a file"

      def file? = true

      private

      def convert(given)
        text = given.to_path if defined?(Pathname) && Pathname === given
        text = given if String === given && given.valid_encoding?
        text unless text.nil? || text.empty? || text.include?("\0")
      end
    end

    # One or several texts; flags and directives may be repeated, and a comma separates several in one text.
    class List < Type
      # +each+: a pattern of each text, described by +each_text+.
      def initialize(each: nil, each_text: nil)
        super(range: nil)
        @each = each
        @each_text = each_text
      end

      def repeatable? = true

      # Between several values in one text.
      def separator = ","

      def accepted = ["one value or several", @each_text].compact.join(", each ")

      def show(value) = value.join(" ")

      def text(value) = value.join(separator)

      def literal(value) = value.map(&:inspect).join(", ")

      private

      def allowed?(value) = !value.empty? && (@each.nil? || value.all?(@each))

      def convert(given)
        case given
        when String then texts(given.split(",").map(&:strip))
        when Array then texts(given)
        end
      end

      def texts(all)
        all = all.map { |text| OptionTypes.utf8(text) }
        all if all.all? { |text| String === text && text.valid_encoding? && !text.empty? }
      end
    end

    # Addresses to listen on; see Address.
    class Addresses < List
      # No name of a host and no path of a socket is as long.
      LONGEST = 300

      def metavar = "ADDRESS"

      def accepted = "one address or several"

      def parse(given, name)
        texts = super
        long = texts.find { |text| text.size > LONGEST }
        raise Unacceptable, "#{OptionTypes.inspected(long)} is too long for an address" if long

        texts.each { |text| Address.parse(text, 0) }
      rescue ConfigError => e
        raise Unacceptable, e.message
      end
    end

    TYPES = { integer: Count, seconds: Seconds, bytes: Bytes, rate: Rate, choice: Choice, boolean: Switch, path: Path, text: Text,
              list: List, addresses: Addresses }.freeze

    # The type called +name+, or +name+ itself if it is a type.
    def self.build(name, **constraints)
      name.is_a?(Symbol) ? TYPES.fetch(name).new(**constraints) : name
    end
  end
end
