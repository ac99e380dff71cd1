# frozen_string_literal: true

require_relative "backtrace"

module Kino
  # Describes an error with its causes for a log. In each backtrace, the frames of the application come first: the reader can
  # change only those; long ones are shown with head and tail. Frames that an error shares with its cause appear once.
  module ErrorReport
    CAUSES_SHOWN = 50
    MESSAGE_BYTES = 8192

    # Lines of text, the first of them with class and message, without control characters.
    def self.text(error)
      text = +"#{error.class}: #{message_of(error)}\n"
      Backtrace.append(text, error.backtrace)
      append_causes(text, error)
      text
    end

    # An app's #message may raise, be huge or not be text; the report must still appear.
    def self.message_of(error)
      message = error.message.to_s
      more = message.bytesize - MESSAGE_BYTES
      return printable(message) unless more.positive?

      "#{printable(message.byteslice(0, MESSAGE_BYTES))} (#{more} more bytes)"
    rescue StandardError, SystemStackError => e
      "(its #message raised #{e.class})"
    end

    # UTF-8 text without terminal control sequences; continuation lines are indented, so none can forge a log line.
    def self.printable(text)
      utf8 = if text.encoding == Encoding::UTF_8 || text.encoding == Encoding::BINARY
               text.dup.force_encoding(Encoding::UTF_8)
             else
               text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace)
             end
      utf8.scrub("?").gsub(/[[:cntrl:]&&[^\n\t]]/, "?").gsub("\n", "\n    ")
    end

    def self.append_causes(text, error)
      seen = {}.compare_by_identity
      seen[error] = true
      while (cause = error.cause) && !seen[cause]
        return text << "  and further causes\n" if seen.size > CAUSES_SHOWN

        seen[cause] = true
        text << "  caused by #{cause.class}: #{message_of(cause)}\n"
        append_frames(text, cause.backtrace, error.backtrace)
        error = cause
      end
    end

    # The frames of a cause, without those at the end that its error has, too.
    def self.append_frames(text, frames, above)
      return unless frames

      shared = 0
      shared += 1 while above && shared < frames.size - 1 && shared < above.size && frames[-1 - shared] == above[-1 - shared]
      Backtrace.append(text, frames[0, frames.size - shared])
      text << "    ... #{shared} more as above ...\n" if shared.positive?
    end
    private_class_method :append_causes, :append_frames
  end
end
