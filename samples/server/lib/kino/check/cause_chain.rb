# frozen_string_literal: true

require_relative "../app/backtrace"

module Kino
  module Check
    # An error and all its causes as plain data, which Ractors and processes can exchange.
    module CauseChain
      MOST = 50
      MESSAGE_BYTES = 4096
      FRAMES = 100
      # The frames of this check tell nothing.
      OWN = "#{__dir__}/".freeze

      # The error first. Its methods may raise, as those of any object of the app.
      def self.of(error)
        chain = []
        seen = {}.compare_by_identity
        while error && !seen[error] && chain.size < MOST
          seen[error] = true
          chain << { "class" => name(error), "message" => message(error), "backtrace" => frames(error) }
          error = cause(error)
        end
        chain
      end

      def self.text(chain)
        chain.each_with_index.map do |one, index|
          text = +"  #{"caused by " if index.positive?}#{one["class"]}: #{one["message"].gsub("\n", "\n    ")}\n"
          Backtrace.append(text, one["backtrace"])
          text
        end.join.chomp
      end

      def self.name(error)
        error.class.name || "an anonymous class"
      rescue StandardError
        "an unknown class"
      end

      def self.message(error)
        plain(error.message.to_s.byteslice(0, MESSAGE_BYTES))
      rescue StandardError, SystemStackError => e
        "(its #message raised #{e.class})"
      end

      def self.frames(error)
        (error.backtrace || []).reject { |frame| frame.start_with?(OWN) }.first(FRAMES).map { |frame| plain(frame) }
      rescue StandardError
        []
      end

      def self.cause(error)
        error.cause
      rescue StandardError
        nil
      end

      def self.plain(text)
        text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace).scrub("?").gsub(/[[:cntrl:]&&[^\n\t]]/, "?")
      end
      private_class_method :name, :message, :frames, :cause, :plain
    end
  end
end
