# frozen_string_literal: true

module Kino
  # The destinations of log lines: a standard stream, a logging daemon, or the path of a file.
  #
  #   stdout  stderr  log/access.log
  #   syslog  journald  syslog:/run/other/socket  syslog?facility=local7&tag=shop
  module LogDestination
    STREAMS = %w[stdout stderr].freeze
    # The sockets at which daemons listen.
    DAEMONS = { "syslog" => "/dev/log", "journald" => "/run/systemd/journal/socket" }.freeze
    # In the order of their numbers.
    FACILITIES = [*%w[kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit alert clock],
                  *(0..7).map { |number| "local#{number}".freeze }].freeze
    SENDER = { "facility" => "daemon", "tag" => "kino" }.freeze

    START = /\A(?:#{DAEMONS.keys.join("|")})(?:\z|[:?])/.freeze
    FORM = %r{\A(?<daemon>\w+)(?::(?<socket>/[^?\0]+))?(?:\?(?<sender>\w+=[^&=]*(?:&\w+=[^&=]*)*))?\z}.freeze
    TAG = %r{\A[\w./-]{1,32}\z}.freeze

    def self.daemon?(text) = text.match?(START)

    # What is wrong with +text+, a destination; nil if nothing is.
    def self.mistake(text)
      return unless daemon?(text)

      form = FORM.match(text) or return "a daemon is written as syslog, syslog:/path/of/socket or syslog?facility=local7&tag=NAME"
      chosen = sender(form)
      unknown = (chosen.keys - SENDER.keys).first
      return "#{form[:daemon]} has facility and tag, not #{unknown}" if unknown
      return "a facility is one of #{FACILITIES.join(", ")}" unless FACILITIES.include?(chosen["facility"])

      "a tag has 1 to 32 letters, digits and any of _ . / -" unless chosen["tag"].match?(TAG)
    end

    # The complete form, the same for all spellings of a destination; the native server takes it. Raises ArgumentError.
    def self.complete(text)
      return text if STREAMS.include?(text)
      return File.expand_path(text) unless daemon?(text)

      wrong = mistake(text) and raise ArgumentError, "#{text.inspect} is no destination of a log: #{wrong}"
      form = FORM.match(text)
      chosen = sender(form)
      "#{form[:daemon]}:#{form[:socket] || DAEMONS.fetch(form[:daemon])}?" \
        "facility=#{FACILITIES.index(chosen["facility"])}&tag=#{chosen["tag"]}"
    end

    def self.sender(form)
      SENDER.merge((form[:sender] || "").split("&").to_h { |pair| pair.split("=", 2) })
    end
    private_class_method :sender
  end
end
