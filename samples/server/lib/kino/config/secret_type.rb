# frozen_string_literal: true

require_relative "option_types"

module Kino
  # The type of an option whose value neither messages nor logs may show: a secret, or @ and the path of a file with one.
  class SecretType < OptionTypes::Type
    # What a Bearer header can carry (RFC 6750), long enough not to be guessed.
    SECRET = %r{\A[A-Za-z0-9._~+/-]{16,512}=*\z}
    FILE = /\A@[^[:cntrl:]]+\z/

    def self.file?(value) = value.start_with?("@")

    def metavar = "SECRET"

    def accepted = "at least 16 of the characters A-Z a-z 0-9 - . _ ~ + /, or @FILE"

    def range_text = "at least 16 characters, or @FILE"

    def secret? = true

    def show(value) = SecretType.file?(value) ? value : "(not shown)"

    def parse(given, name)
      value = convert(OptionTypes.utf8(given))
      value or raise OptionTypes::Unacceptable, "the given value of #{name} is not valid; it takes #{accepted}"
    end

    private

    def convert(given)
      given if String === given && given.valid_encoding? && (given.match?(SECRET) || given.match?(FILE))
    end
  end
end
