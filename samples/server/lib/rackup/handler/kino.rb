# frozen_string_literal: true

require "rackup/handler"

require_relative "../../kino"
require_relative "../../kino/config_file"

module Rackup
  module Handler
    # `rackup -s kino` and `rails server -u kino`: kino.rb or config/kino.rb counts, and what the host
    # command says comes on top.
    module Kino
      # What rackup always passes although nobody asked for it.
      HOST_OPTIONS = { Host: :bind, Port: :port }.freeze

      def self.run(app, **options)
        settings = ::Kino::Settings.new(keywords(options), given_as: "flag", file: ::Kino::ConfigFile.find(options[:Config]))
        server = ::Kino::Server.new(app, settings: settings)
        yield server if block_given?
        server.run
      end

      def self.valid_options
        ::Kino::Options::TABLE.to_h do |option|
          ["#{camel(option)}=#{option.metavar}", "#{option.help} (default: #{option.default_text})"]
        end
      end

      # Host, Port, and options as -O Workers=4, -O workers=4 or keywords.
      def self.keywords(options)
        known = HOST_OPTIONS.dup
        ::Kino::Options::TABLE.each { |option| known[option.name] = known[camel(option).to_sym] = option.name }
        options.each_with_object({}) do |(name, value), given|
          given[known[name.to_sym]] = value if known.key?(name.to_sym) && !value.nil?
        end
      end

      def self.camel(option)
        option.name.to_s.split("_").map(&:capitalize).join
      end
    end

    register :kino, Kino
  end
end
