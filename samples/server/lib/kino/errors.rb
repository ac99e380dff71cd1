# frozen_string_literal: true

module Kino
  # The base class of all errors that this gem raises.
  class Error < StandardError; end

  # An unknown option, or a value out of range; several, if several were found.
  class ConfigError < Error
    # Raises an error with all of these messages, if there are any.
    # @api private
    def self.raise_all(messages)
      return if messages.empty?
      raise self, messages.first if messages.size == 1

      raise self, "#{messages.size} mistakes in the configuration:\n#{messages.join("\n")}"
    end
  end

  # An app that raised while it was loaded; #cause is its error.
  class AppLoadError < Error; end

  # A signal requested the end before the server had started.
  class StartCancelled < Error; end

  # An address that cannot be listened on; #cause is the system's error.
  class BindError < Error; end

  # :ractor mode was requested for an app that Ractors cannot share. The message lists the reasons, each with a fix.
  class UnshareableAppError < Error
    # The Kino::Check::Report about the app.
    attr_reader :report

    def initialize(message = nil, report = nil)
      super(message)
      @report = report
    end
  end

  # Why a worker has ended. The message is that of the error that ended it, behind its class; the backtrace is its, too.
  class WorkerDied < Error
    # The name of the error's class; nil if the worker's thread was ended without one.
    attr_reader :error_class

    def initialize(message, error_class = nil, backtrace = nil)
      super(message)
      @error_class = error_class
      set_backtrace(backtrace) if backtrace
    end
  end

  # A pidfile that cannot be written, or belongs to another process.
  class PidFileError < Error; end

  # The native extension is missing or was built for another Ruby.
  class NativeMissingError < Error; end
end
