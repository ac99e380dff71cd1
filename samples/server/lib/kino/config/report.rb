# frozen_string_literal: true

require_relative "../app/app_file"
require_relative "../app/pid_file"
require_relative "../control/control_plane"
require_relative "../listen/address"
require_relative "options"

module Kino
  # What `kino --check-config` prints: every setting, and the source of those that are not defaults.
  module SettingsReport
    # Looks for mistakes that show only when a value is used: in what it names, such as a file. Raises one ConfigError with all.
    # Changes and starts nothing.
    def self.check(settings)
      ConfigError.raise_all(checks(settings).filter_map { |check| mistake(&check) })
    end

    # Those that need native code or more of the server have it loaded only if they are needed.
    def self.checks(settings)
      checks = [-> { Address.of(settings) }, -> { ControlPlane.for(settings) }, -> { AppFile.of(settings) }]
      checks << -> { PidFile.check_place(settings) } if settings[:pidfile]
      checks << -> { certificates(settings) } if settings[:tls]
      checks << -> { pubsub(settings) } if settings[:pubsub]
      checks + log_checks(settings)
    end

    def self.mistake
      yield
      nil
    rescue Error => e
      e.message
    end

    def self.log_checks(settings)
      checks = []
      checks << -> { access_log.check_place(settings) } unless settings.source(:access_log) == :default
      checks << -> { access_log.check_format(settings) } if settings[:access_log_format].include?("$")
      checks
    end

    def self.access_log
      require_relative "../app/access_log"
      AccessLog
    end

    def self.certificates(settings)
      require_relative "../listen/certificates"
      Certificates.for(settings).load
    end

    def self.pubsub(settings)
      require_relative "../pubsub"
      settings.placed(:pubsub) { PubSub.engine_at(settings[:pubsub]) }
    end

    def self.text(settings, table: Options::TABLE)
      rows = table.map { |option| [option.name.to_s, option.show(settings[option.name]), source(settings, option.name)] }
      widths = [0, 1].map { |column| rows.map { |row| row[column].size }.select { |size| size < 32 }.max }
      lines = rows.map { |name, value, source| "  #{name.ljust(widths[0])}  #{value.ljust(widths[1])}  #{source}".rstrip }
      "#{lines.join("\n")}\n"
    end

    def self.source(settings, name)
      settings.source(name) == :default ? nil : "(#{settings.source(name)})"
    end
    private_class_method :checks, :mistake, :log_checks, :access_log, :certificates, :pubsub, :source
  end
end
