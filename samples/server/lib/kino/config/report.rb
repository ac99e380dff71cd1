# frozen_string_literal: true

require_relative "../app/app_file"
require_relative "../control/control_plane"
require_relative "../listen/address"
require_relative "options"

module Kino
  # What `kino --check-config` prints: every setting, and the source of those that are not defaults.
  module SettingsReport
    # Mistakes that show only when all options are known. Raises ConfigError.
    def self.check(settings)
      Address.of(settings)
      ControlPlane.for(settings)
      AppFile.check(settings[:rackup])
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
    private_class_method :source
  end
end
