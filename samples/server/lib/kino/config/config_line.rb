# frozen_string_literal: true

module Kino
  # One line of a configuration file: the source of a value, or the place of a mistake.
  class ConfigLine
    SHOWN = 120

    # +path+: as messages show it. +text+: the line.
    def initialize(path, number, text)
      @path = path
      @number = number
      @text = text.to_s.scrub("?").chomp.gsub(/[[:cntrl:]]/, " ")
    end

    attr_reader :number

    def to_s = "#{@path}:#{@number}"

    # The source of a value to which both lines add.
    def +(other)
      self.class.new(@path, "#{@number},#{other.number}", @text)
    end

    # The line on lines of its own, with +word+ underlined; empty if it may contain a private key.
    def excerpt(word = nil)
      return "" if @text.strip.empty? || @text.include?("-----BEGIN")

      margin = "    #{@number} | "
      "\n#{margin}#{@text[0, SHOWN]}#{underline(word, margin)}"
    end

    private

    def underline(word, margin)
      at = word && @text.index(/(?<![a-z0-9_])#{Regexp.escape(word.to_s)}(?![a-z0-9_])/)
      at && at < SHOWN ? "\n#{" " * (margin.size - 2)}| #{" " * at}#{"^" * word.to_s.size}" : ""
    end
  end
end
