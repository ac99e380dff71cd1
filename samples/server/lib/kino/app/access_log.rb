# frozen_string_literal: true

require_relative "../config/log_destination"
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
      chosen = self.for(settings)
      Native.check_access_log(chosen) if chosen
    rescue ArgumentError => e
      raise ConfigError, e.message
    rescue SystemCallError => e
      raise ConfigError, "cannot open the access log #{chosen[:destination].sub(/\?.*/, "")}: #{e.class.new.message}; " \
                         "#{advice(settings[:access_log])}"
    end

    # Raises a ConfigError unless +format+ is valid.
    def self.check_format(format)
      Native.check_access_log({ destination: LogDestination.complete("stdout"), format: format, sample: 1, color: false })
    rescue ArgumentError => e
      raise ConfigError, e.message
    end

    def self.advice(place)
      return "choose another path with access_log, or stdout or stderr" unless LogDestination.daemon?(place)

      "is the daemon running? Choose its socket with access_log \"#{place[/\A\w+/]}:/path\", or another destination"
    end

    def self.color?(place)
      stream = STREAMS[place]
      !stream.nil? && Banner.color?(stream)
    end
    private_class_method :advice, :color?
  end
end
