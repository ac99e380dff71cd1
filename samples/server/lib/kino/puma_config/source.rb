# frozen_string_literal: true

require "ripper"

module Kino
  module PumaConfig
    # The text of a configuration file: where directives are, and how their arguments are written. An argument that reads
    # the environment is translated as it is written, if it is simple enough to be understood.
    class Source
      Token = Struct.new(:line, :type, :text)

      CONSTANTS = %w[ENV Integer Float].freeze
      METHODS = %w[fetch to_i to_s to_f].freeze
      SIMPLE = %i[on_sp on_lparen on_rparen on_lbracket on_rbracket on_lbrace on_rbrace on_comma on_period on_int on_float
                  on_tstring_beg on_tstring_content on_tstring_end on_embexpr_beg on_embexpr_end].freeze
      OPERATORS = %w[|| + * - &.].freeze
      OPENING = %i[on_lparen on_lbracket on_lbrace on_embexpr_beg on_tlambeg].freeze
      CLOSING = %i[on_rparen on_rbracket on_rbrace on_embexpr_end].freeze
      # Of an argument that stays as it is written, in tokens, and of the variables in it.
      LONGEST = 40
      DEPTH = 3
      MODIFIERS = %w[if unless do and or while until rescue].freeze

      def initialize(text)
        @lines = text.lines
        @tokens = Ripper.lex(text).map { |(line, _), type, token| Token.new(line, type, token) }
        @placed = Places.new(text).tap(&:parse).found
      end

      # Whether it names Rails, or one of its variables of the environment.
      def of_rails?
        @tokens.any? { |token| token.type == :on_const ? %w[Rails ActiveRecord].include?(token.text) : token.type == :on_tstring_content && token.text.start_with?("RAILS_") }
      end

      # The line, on one line and without its comment.
      def line(number)
        @tokens.select { |token| token.line == number && !%i[on_comment on_nl on_ignored_nl].include?(token.type) }
               .map(&:text).join.strip.gsub(/\s+/, " ")
      end

      # [name, line] of every call of one of these names that is a statement of its own or follows a condition, except
      # those inside of blocks that such calls get.
      def calls(names)
        @placed.select { |name, _| names.include?(name.to_sym) }.map { |name, line| [name.to_sym, line] }
      end

      # How the arguments of +name+ in +line+ are written, with local variables replaced by their values, or nil for each that
      # does not read the environment or is not simple.
      def arguments(name, line)
        at = @tokens.index { |token| token.line == line && token.text == name.to_s && token.type == :on_ident }
        return [] unless at

        split(statement(at + 1)).map { |tokens| written(tokens) }
      end

      private

      # The tokens up to the end of the statement, without parentheses around all of them.
      def statement(from)
        depth = 0
        found = @tokens.drop(from).take_while do |token|
          depth += 1 if OPENING.include?(token.type)
          depth -= 1 if CLOSING.include?(token.type)
          depth >= 0 && (depth.positive? || !ends?(token))
        end
        found = found[1..-2] if found.first&.type == :on_lparen && found.last&.type == :on_rparen
        found
      end

      def ends?(token)
        %i[on_nl on_comment on_semicolon].include?(token.type) || token.type == :on_kw && MODIFIERS.include?(token.text)
      end

      def split(tokens)
        depth = 0
        tokens.slice_when do |before, _|
          depth += 1 if OPENING.include?(before.type)
          depth -= 1 if CLOSING.include?(before.type)
          depth.zero? && before.type == :on_comma
        end.map { |part| part.last.type == :on_comma ? part[0..-2] : part }
      end

      def written(tokens)
        text = expanded(tokens, DEPTH)&.strip
        text if text&.match?(/\bENV\b/)
      end

      # nil: not simple.
      def expanded(tokens, depth)
        return if tokens.size > LONGEST

        alone = tokens.count { |token| token.type != :on_sp } == 1
        parts = tokens.map do |token|
          text = token.text
          case token.type
          when *SIMPLE then text
          when :on_ignored_nl then " "
          when :on_const then text if CONSTANTS.include?(text)
          when :on_op then text if OPERATORS.include?(text)
          when :on_kw then text if text == "nil"
          when :on_ident then METHODS.include?(text) ? text : value_of(text, depth, alone)
          end
        end
        parts.join unless parts.include?(nil)
      end

      # The value of a local variable that is assigned once.
      def value_of(variable, depth, alone)
        places = @tokens.each_index.select { |at| @tokens[at].text == variable && assigned?(at) }
        return unless places.size == 1 && depth.positive?

        after = @tokens[places.first + 1..].index { |token| token.text == "=" }
        value = expanded(statement(places.first + after + 2), depth - 1)&.strip
        value && (alone ? value : "(#{value})")
      end

      def assigned?(at)
        following = @tokens[at + 1..at + 2].reject { |token| token.type == :on_sp }
        following.first&.type == :on_op && following.first.text == "="
      end

      # Finds the calls without a receiver.
      class Places < Ripper
        attr_reader :found

        def initialize(text)
          super
          @found = []
        end

        def on_ident(text) = [text, lineno]

        def on_vcall(name) = note(name)

        def on_command(name, _arguments) = note(name)

        def on_method_add_arg(call, _arguments) = call

        def on_fcall(name) = note(name)

        # Its body is not part of the configuration.
        def on_method_add_block(call, _block)
          return call unless call.is_a?(Array) && Directives.names.include?(call.first.to_sym)

          @found.reject! { |_, line| line > call.last && line <= lineno }
          call
        end

        private

        def note(name)
          @found << name if name.is_a?(Array) && name.first.is_a?(String)
          name
        end
      end
    end
  end
end
