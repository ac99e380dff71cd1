# frozen_string_literal: true

module Kino
  # Ruby loads most encodings and converters at their first use. Before Ruby 4.0 the process hangs when that happens
  # in a Ractor, for UTF-16 and UTF-32 at least, and a client can name one, for example as the charset of a form's part.
  module Encodings
    # Loads all of them, which takes 60 ms and 3 MiB. Call in the main Ractor before there are others.
    def self.load_all
      return if RUBY_VERSION >= "4.0"

      Encoding.list.each do |encoding|
        "".dup.force_encoding(encoding).valid_encoding?
        load_converter(encoding, Encoding::UTF_8)
        load_converter(Encoding::UTF_8, encoding)
      end
    end

    def self.load_converter(from, to)
      Encoding::Converter.new(from, to)
    rescue Encoding::ConverterNotFoundError
      nil
    end
    private_class_method :load_converter
  end
end
