# frozen_string_literal: true

require_relative "../native"
require_relative "error_report"

module Kino
  # The server's log: standard error, written by a native thread. No method blocks or raises: lines that the log cannot
  # accept are dropped, counted and reported later. Usable in any Ractor.
  #
  # If a program or a test has assigned another object to $stderr, the caller writes lines to that object. In other
  # Ractors, which have their own $stderr, lines go to file descriptor 2.
  module Log
    STANDARD_ERROR = 2
    FLUSH_SECONDS = 1

    def self.line(text)
      write("kino: #{text}\n")
    end

    # Reports an error with its causes.
    def self.error(heading, error)
      write("kino: #{ErrorReport.printable(heading)}: #{ErrorReport.text(error)}")
    rescue StandardError, SystemStackError => e
      line("#{ErrorReport.printable(heading)}: #{error.class}; reporting it raised #{e.class}")
    end

    # Writes complete lines, unchanged.
    def self.write(text, out = $stderr)
      return write_here(text) if @here && native?(out)

      native?(out) ? Native.log(text) : out.write(text)
      nil
    rescue StandardError, ScriptError, SystemStackError, NoMemoryError
      # A failing log must not fail a request, a worker or the server.
      nil
    end

    # Lets the calling Thread write, if it can without waiting, so that this process has no native thread: it will fork.
    def self.without_thread(chosen)
      @here = chosen
    end

    def self.write_here(text)
      _, ready = IO.select(nil, [$stderr], nil, 0)
      $stderr.write(text) if ready
      nil
    end
    private_class_method :write_here

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
  end
end

# Lines logged before the process ends are written, for any kind of end.
at_exit { Kino::Log.flush }
