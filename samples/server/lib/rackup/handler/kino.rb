# frozen_string_literal: true

require "rackup/handler"

require_relative "../../kino"
require_relative "../../kino/config/config_file"

module Rackup
  module Handler
    # `rackup -s kino` and `rails server -u kino`: flags of the host command and -O options override KINO_*
    # variables, which override kino.rb or config/kino.rb, which overrides the host command's own defaults.
    module Kino
      HOST_OPTIONS = { Host: :bind, Port: :port }.freeze
      # Options that rackup itself reads or passes to every handler.
      OF_RACKUP = %i[environment pid config server debug warn quiet include require builder daemonize heapfile profile_file
                     profile_mode AccessLog].freeze
      # Options of other handlers that have no effect here.
      WITHOUT_EFFECT = %i[DoNotReverseLookup Silent Verbose].freeze

      def self.run(app, **options)
        server = ::Kino::Server.new(app, settings: settings(options))
        yield server if block_given?
        server.run
      rescue ::Kino::Error => e
        abort("kino: #{e.message}")
      end

      def self.valid_options
        ::Kino::Options::SERVER.to_h do |option|
          ["#{camel(option)}=#{option.metavar}", "#{option.help} (#{option.facts.join("; ")})"]
        end.merge("Config=FILE" => "configuration file (default: kino.rb or config/kino.rb, if it exists)")
      end

      # Raises ConfigError for an option that is unknown or whose value is not allowed.
      def self.settings(options)
        refuse_unknown(options)
        own = options.select { |name, value| names.key?(name) && !value.nil? && !of_rackup?(name, value) }
        given, defaults = own.partition { |name, value| chosen?(name, value, options[:user_supplied_options]) }
        ::Kino::Settings.new(by_name(given), given_as: "flag", places: ->(option) { "-O #{camel(option)}" },
                                             file: ::Kino::ConfigFile.find(options[:Config]), defaults: by_name(defaults))
      end

      # By each name under which an option can be given, with -O Workers=4 or -O workers=4: the option's name.
      def self.names
        ::Kino::Options::SERVER.each_with_object(HOST_OPTIONS.dup) do |option, all|
          all[option.name] = all[camel(option).to_sym] = option.name
        end
      end

      # Rackup passes an Array called AccessLog to every handler.
      def self.of_rackup?(name, value)
        OF_RACKUP.include?(name) && !value.is_a?(String)
      end

      def self.by_name(pairs)
        pairs.to_h { |name, value| [names.fetch(name), value] }
      end

      # Rails passes its own settings, too; their names begin with a lower-case letter.
      def self.refuse_unknown(options)
        unknown = options.keys - names.keys - OF_RACKUP - WITHOUT_EFFECT - [:Config]
        unknown = unknown.grep(/\A[A-Z]/) if options.key?(:user_supplied_options)
        unknown.each { |name| ::Kino::Options.of_server(underscored(name), "-O #{name}") }
      end

      # Rails passes the names of the options that its user gave. Rackup does not: a default host or port counts as not given.
      def self.chosen?(name, value, supplied)
        return supplied.include?(name) if supplied

        !HOST_OPTIONS.key?(name) || value.to_s != rackup_defaults[name].to_s
      end

      def self.rackup_defaults
        defined?(Rackup::Server) ? Rackup::Server.new({}).default_options : {}
      end

      def self.camel(option)
        option.name.to_s.split("_").map(&:capitalize).join
      end

      def self.underscored(name)
        name.to_s.gsub(/(?<=[a-z])[A-Z]/) { |letter| "_#{letter}" }.downcase
      end
    end

    register :kino, Kino
  end
end
