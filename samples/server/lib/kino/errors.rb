# frozen_string_literal: true

module Kino
  # What every error raised by this gem itself can be rescued as.
  class Error < StandardError; end

  # An option that does not exist, or whose value is outside its range.
  class ConfigError < Error; end

  # A signal asked for the end before the server had started.
  class StartCancelled < Error; end

  # An address that cannot be listened on; #cause is the system's error.
  class BindError < Error; end

  # :ractor mode was asked for with an app that Ractors cannot share.
  class UnshareableAppError < Error; end

  # The native extension is not there, or does not fit this Ruby.
  class NativeMissingError < Error; end
end
