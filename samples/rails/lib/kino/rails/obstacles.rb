# frozen_string_literal: true

require_relative "probe"
require_relative "ruby"
require_relative "unshareable"

module KinoRails
  # The reasons that keep an application out of Ractors and that its owner can remove: one sentence for each, with the line to
  # change.
  module Obstacles
    # Caches without objects of their own.
    CACHES = %w[ActiveSupport::Cache::NullStore].freeze

    def self.of(app)
      too_old = rails(app) || ruby
      return [too_old] if too_old

      [eager_load(app), reloading(app), cache(app), cable(app), static_files(app), rack, json, yjit, *blocks(app)].compact
    end

    def self.rails(app)
      return if app.respond_to?(:ractorize!)

      "Rails #{Rails::VERSION::STRING} cannot run in Ractors: it has no Rails::Application#ractorize!, which its main branch has"
    end

    def self.ruby
      "Ruby #{RUBY_VERSION} cannot make blocks shareable; Ruby 4.0 can" unless KinoRails.ruby_ready?
    end

    def self.eager_load(app)
      "classes are loaded when they are needed, which only the main Ractor can: config.eager_load = true" unless app.config.eager_load
    end

    def self.reloading(app)
      "classes that change cannot be shared: config.enable_reloading = false" if app.config.reloading_enabled?
    end

    def self.cache(app)
      store = Rails.cache
      return if store.nil? || CACHES.include?(store.class.name) || Ractor.shareable?(store)

      "Ractors cannot share the cache #{store.class}: config.cache_store = :null_store"
    end

    def self.cable(app)
      return unless app.config.respond_to?(:action_cable) && app.config.action_cable.mount_path

      "Action Cable keeps its connections in the main Ractor: config.action_cable.mount_path = nil, and run it in a process of its own"
    end

    # The file server of some versions of Rack sets instance variables during a request.
    def self.static_files(app)
      return unless app.config.public_file_server.enabled && !files_work?

      "the file server of Rack #{Rack.release} cannot be shared: config.public_file_server.enabled = false, with a web server or a " \
        "content delivery network for public/"
    end

    def self.files_work?
      env = { "REQUEST_METHOD" => "GET", "PATH_INFO" => "/#{File.basename(__FILE__)}", "SCRIPT_NAME" => "", "QUERY_STRING" => "" }
      Rack::Files.new(__dir__).freeze.call(env).first == 200
    rescue FrozenError
      false
    end

    def self.rack
      require "rack/ractorize"
      nil
    rescue LoadError
      "Rack #{Rack.release} cannot run in Ractors: it has no rack/ractorize; gem \"rack\", github: \"rack/rack\""
    end

    # Sessions and cookies need it.
    def self.json
      ActiveSupport::JSON.decode("[1]", allow_comments: true)
      nil
    rescue StandardError => e
      "Active Support cannot decode with json #{::JSON::VERSION} (#{e.message}): gem \"json\", \"~> 2.18\""
    end

    def self.yjit
      return unless defined?(RubyVM::YJIT) && RubyVM::YJIT.enabled? && Probe.captures_stop_ractors?

      "with YJIT, Ruby #{RUBY_VERSION} stops all Ractors for each block that captures a variable, which makes them slower than " \
        "Threads (bugs.ruby-lang.org 22224): config.yjit = false"
    end

    def self.blocks(app)
      Unshareable.places(app.root).map do |place|
        "the block at #{place} reads or sets variables outside itself, which a Ractor cannot: use a method instead"
      end
    end
    private_class_method :rails, :ruby, :eager_load, :reloading, :cache, :cable, :static_files, :files_work?, :rack, :json, :yjit,
                         :blocks
  end
end
