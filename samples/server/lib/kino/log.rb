# frozen_string_literal: true

require_relative "native"

module Kino
  # The server's own log: standard error, written by a native thread. Nothing here waits for it or raises: lines
  # that it cannot take are dropped, counted and reported later. Usable in any Ractor.
  #
  # Where $stderr is no longer file descriptor 2, because a program or a test has put another object there, lines
  # go to that object, written by the caller; in Ractors, whose $stderr is their own, they go to descriptor 2.
  module Log
    STANDARD_ERROR = 2
    FLUSH_SECONDS = 1
    CAUSES_SHOWN = 5
    MESSAGE_BYTES = 8192

    def self.line(text)
      write("kino: #{text}\n")
    end

    # Reports an error with the frames of the application first: they are what the reader can change.
    def self.error(heading, error)
      text = +"kino: #{printable(heading)}: #{error.class}: #{message_of(error)}\n"
      Backtrace.append(text, error.backtrace)
      append_causes(text, error)
      write(text)
    rescue StandardError, SystemStackError => e
      line("#{printable(heading)}: #{error.class}; reporting it raised #{e.class}")
    end

    # Whole lines, as they are.
    def self.write(text, out = $stderr)
      native?(out) ? Native.log(text) : out.write(text)
      nil
    rescue StandardError, ScriptError, SystemStackError, NoMemoryError
      # A log that fails must not take a request, a worker or the server with it.
      nil
    end

    def self.native?(out)
      # A File after $stderr.reopen.
      out.is_a?(IO) && out.fileno == STANDARD_ERROR
    end

    # Waits, at most so long, until the lines so far are written.
    def self.flush(seconds = FLUSH_SECONDS)
      Native.flush_log(seconds)
    end

    # For log rotation. Standard error has no path to open again, so for now there is nothing to do.
    def self.reopen
      Native.reopen_log
    end

    # The request a report is about. An app may have changed env in any way.
    def self.request(env)
      "#{env["REQUEST_METHOD"]} #{env["SCRIPT_NAME"]}#{env["PATH_INFO"]}"
    rescue StandardError
      "a request"
    end

    # An app's #message may raise, be endless or not be text; the report must still appear.
    def self.message_of(error)
      message = error.message.to_s
      more = message.bytesize - MESSAGE_BYTES
      return printable(message) unless more.positive?

      "#{printable(message.byteslice(0, MESSAGE_BYTES))} (#{more} more bytes)"
    rescue StandardError, SystemStackError => e
      "(its #message raised #{e.class})"
    end

    # Text in UTF-8 that cannot steer a terminal; further lines are indented, so that none passes for one of the log's.
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

  # Sorts backtraces into the application's frames and those of gems, Ruby and this server.
  module Backtrace
    # Computed once here: workers in other Ractors can read neither RbConfig nor Gem's state.
    LIBRARY_ROOTS = begin
      roots = [File.expand_path("..", __dir__), "<internal:"]
      roots.concat(RbConfig::CONFIG.values_at("rubylibdir", "sitedir", "vendordir").compact)
      roots.concat(Gem.path.map { |path| File.join(path, "gems") }) if defined?(Gem)
      Ractor.make_shareable(roots.reject(&:empty?).map { |root| root.dup.freeze }.uniq)
    end

    # Of the application's frames; a deep recursion has thousands.
    HEAD_SHOWN = 20
    TAIL_SHOWN = 10
    LIBRARY_FRAMES_SHOWN = 12

    def self.append(text, frames)
      return unless frames

      library, application = frames.partition { |frame| library?(frame) }
      append_frames(text, application, HEAD_SHOWN, TAIL_SHOWN)
      return if library.empty?

      text << "    -- libraries --\n" unless application.empty?
      append_frames(text, library, LIBRARY_FRAMES_SHOWN, 0)
    end

    def self.append_frames(text, frames, head, tail)
      hidden = frames.size - head - tail
      return frames.each { |frame| text << "    " << frame << "\n" } unless hidden.positive?

      frames.first(head).each { |frame| text << "    " << frame << "\n" }
      text << "    ... #{hidden} more ...\n"
      frames.last(tail).each { |frame| text << "    " << frame << "\n" }
    end

    def self.library?(frame)
      LIBRARY_ROOTS.any? { |root| frame.start_with?(root) }
    end
  end
end

# Whatever ends the process, what was logged before is written.
at_exit { Kino::Log.flush }
