# frozen_string_literal: true

require_relative "log_destination"
require_relative "option_types"

module Kino
  # The type of the option `access_log`; see LogDestination.
  class LogDestinationType < OptionTypes::Path
    def metavar = "DESTINATION"

    def accepted = "stdout, stderr, syslog, journald or the path of a file"

    def range_text = accepted

    private

    def allowed?(value) = LogDestination.mistake(value).nil?

    def convert(given)
      super(Symbol === given ? given.to_s : given)
    end

    def suggestion(given)
      text = given.to_s if String === given || Symbol === given
      wrong = LogDestination.mistake(text) if text
      wrong ? "; #{wrong}" : ""
    end
  end

  # The type of the option `access_log_format`. The native server knows the fields.
  class LogFormatType < OptionTypes::Type
    NAMES = %w[common combined json].freeze

    def metavar = "FORMAT"

    def accepted = "common, combined, json, or one line of text with fields such as $status"

    def range_text = "common, combined, json or a text with $fields"

    def words = NAMES

    private

    def allowed?(value) = NAMES.include?(value) || (value.include?("$") && !value.match?(/[[:cntrl:]]/))

    def convert(given)
      given.to_s if String === given || Symbol === given
    end

    def suggestion(given) = nearest_word(given)
  end
end
