# frozen_string_literal: true

require_relative "../native"
require_relative "current_request"

module Kino
  # Around an application: tells the metrics which route a request belonged to, if the application or its framework says so in env.
  class RouteLabel
    # The application's own word first; then Rails 7.1, and Sinatra.
    KEYS = Ractor.make_shareable(%w[kino.route action_dispatch.route_uri_pattern sinatra.route])

    # +app+ itself, unless there are metrics by route.
    def self.around(app, settings, mode)
      return app unless settings[:control_bind] && settings[:route_metrics].positive?

      made = new(app)
      mode == :ractor ? Ractor.make_shareable(made) : made
    end

    def initialize(app)
      @app = app
    end

    def call(env)
      @app.call(env)
    ensure
      label(env)
    end

    private

    def label(env)
      KEYS.each do |key|
        route = env[key]
        next unless String === route && !route.empty?

        current = Thread.current.thread_variable_get(CurrentRequest::KEY)
        return Native.label(current.id, current.slot, route)
      end
    end
  end
end
