# frozen_string_literal: true

require_relative "../native"
require_relative "backtrace"

module Kino
  # The server's log: standard error, written by a native thread. No method blocks or raises: lines that the log cannot
  # accept are dropped, counted and reported later. Usable in any Ractor.
  #
  # If a program or a test has assigned another object to $stderr, the caller writes lines to that object. In other
  # Ractors, which have their own $stderr, lines go to file descriptor 2.
  module Log
    STANDARD_ERROR = 2
    FLUSH_SECONDS = 1
    CAUSES_SHOWN = 5
    MESSAGE_BYTES = 8192

    def self.line(text)
      write("kino: #{text}\n")
    end

    # Reports an error with the frames of the application first: the reader can change only those.
    def self.error(heading, error)
      text = +"kino: #{printable(heading)}: #{error.class}: #{message_of(error)}\n"
      Backtrace.append(text, error.backtrace)
      append_causes(text, error)
      write(text)
    rescue StandardError, SystemStackError => e
      line("#{printable(heading)}: #{error.class}; reporting it raised #{e.class}")
    end

    # Writes complete lines, unchanged.
    def self.write(text, out = $stderr)
      native?(out) ? Native.log(text) : out.write(text)
      nil
    rescue StandardError, ScriptError, SystemStackError, NoMemoryError
      # A failing log must not fail a request, a worker or the server.
      nil
    end

    def self.native?(out)
      # A File after $stderr.reopen.
      out.is_a?(IO) && out.fileno == STANDARD_ERROR
    end

    # Waits at most so many seconds until all previous lines are written, also those of the access log and of loggers.
    def self.flush(seconds = FLUSH_SECONDS)
      Native.flush_logs(seconds)
    end

    # For log rotation: opens every file again at its path. Standard output and standard error have none.
    def self.reopen
      Native.reopen_logs
    end

    # Describes the request of a report. An app may have changed env in any way.
    def self.request(env)
      "#{env["REQUEST_METHOD"]} #{env["SCRIPT_NAME"]}#{env["PATH_INFO"]}"
    rescue StandardError
      "a request"
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
      while (error = error.cause) && !seen[error]
        if seen.size > CAUSES_SHOWN
          text << "  and further causes\n"
          break
        end
        seen[error] = true
        text << "  caused by #{error.class}: #{message_of(error)}\n"
        Backtrace.append(text, error.backtrace)
      end
    end
  end
end

# Lines logged before the process ends are written, for any kind of end.
at_exit { Kino::Log.flush }
