# frozen_string_literal: true

require_relative "../config/log_destination"
require_relative "../config/named_file"
require_relative "../errors"
require_relative "../native"
require_relative "banner"

module Kino
  # The settings of the access log, which native threads write.
  module AccessLog
    STREAMS = { "stdout" => $stdout, "stderr" => $stderr }.freeze

    # Whether requests are logged if log_requests does not say: if another option of the access log has been chosen.
    def self.wanted?(settings)
      settings.chosen.any? { |name, _, _| name.to_s.start_with?("access_log") }
    end

    # What the native server takes; nil: no access log.
    def self.for(settings)
      return unless settings[:log_requests]

      place = settings[:access_log]
      { destination: LogDestination.complete(place), format: settings[:access_log_format],
        sample: settings[:access_log_sample], color: color?(place) }
    end

    # Raises a ConfigError unless requests can be logged so. Creates the file.
    def self.check(settings)
      chosen = self.for(settings) or return
      check_format(settings)
      settings.placed(:access_log) do
        Native.check_access_log(chosen)
      rescue SystemCallError => e
        refuse(settings[:access_log], NamedFile.reason(e))
      end
    end

    # Raises a ConfigError unless the format is valid.
    def self.check_format(settings)
      settings.placed(:access_log_format) do
        Native.check_access_log({ destination: "stdout", format: settings[:access_log_format], sample: 1, color: false })
      rescue ArgumentError => e
        raise ConfigError, e.message
      end
    end

    # Raises a ConfigError if no file can be written there; does not create it.
    def self.check_place(settings)
      place = settings[:access_log]
      return if STREAMS.key?(place) || LogDestination.daemon?(place)

      settings.placed(:access_log) do
        NamedFile.check_writable(place)
      rescue NamedFile::Unusable => e
        refuse(place, e.message)
      end
    end

    def self.refuse(place, reason)
      shown = LogDestination.complete(place).sub(/\?.*/, "")
      raise ConfigError, "cannot open the access log #{shown}: #{reason}; #{advice(place)}"
    end

    def self.advice(place)
      if LogDestination.daemon?(place)
        return "is the daemon running? Choose its socket with access_log \"#{place[/\A\w+/]}:/path\", or another destination"
      end
      return "it is a named pipe, and no process reads it: start that before" if File.pipe?(place)

      "choose another path with access_log, or stdout or stderr"
    end

    def self.color?(place)
      stream = STREAMS[place]
      !stream.nil? && Banner.color?(stream)
    end
    private_class_method :refuse, :advice, :color?
  end
end
