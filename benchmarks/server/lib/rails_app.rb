# frozen_string_literal: true

require "rbconfig"

module Bench
  # The Rails application rails/config.ru, served by each way of running Rails.
  #
  # It runs with the newest released Rails, or, if the environment variable KINO_RAILS names checkouts of the main branches of Rails
  # and Rack (as RAILS:RACK), with these, for every server. Only they can run in Ractors.
  module RailsApp
    HOME = File.join(Peers::HERE, "rails")
    RACKUP = File.join(HOME, "config.ru")
    GEMS = "rails" # the name of their directory
    WANTED = %w[railties actionpack].freeze
    SERVERS = %w[kino-rails-threads kino-rails-processes kino-rails-ractors puma falcon].freeze
    WARMUP = 3 # seconds of load before the first turn of a server, while YJIT compiles Rails

    # A path of the application and the response that each server must give.
    class Page < Endpoint
      attr_reader :expected_body

      def initialize(name, expected_body)
        super(name)
        @expected_body = expected_body
      end
    end

    ENDPOINTS = [
      Page.new("json", '{"message":"Hello, World!","numbers":[1,2,3],"nested":{"ok":true}}'),
      Page.new("page", File.binread(File.join(HOME, "page.html")))
    ].freeze

    module_function

    # The option for a Server that has the application.
    def options(peer)
      { rackup: RACKUP, gems: GEMS, libraries: libraries }.merge(peer.name == "kino-rails-ractors" ? { jit: jit_in_ractors? } : {})
    end

    def label(peer) = options(peer)[:jit] == false && Machine.jit? ? "#{peer.label}, without YJIT" : peer.label

    # Of the checkouts, for all servers.
    def libraries = checkouts.flat_map { |checkout| Dir[File.join(checkout, "{.,*}", "lib")] }

    def checkouts = ENV.fetch("KINO_RAILS", "").split(":")

    # One line that says why Rails is not measured, or nil.
    def problem(installer)
      missing = checkouts.find { |checkout| !File.directory?(checkout) }
      return "KINO_RAILS names #{missing}, which is no directory" if missing

      installer.install(GEMS, WANTED)
    end

    def problem_with_ractors
      return "Ruby #{RUBY_VERSION} cannot run Rails in Ractors; Ruby 4.0 can" unless defined?(Ractor::Port)

      "no released Rails can run in Ractors; set KINO_RAILS to checkouts of the main branches, as RAILS:RACK" if checkouts.empty?
    end

    # Whether YJIT does not stop all Ractors for each block that captures a variable (bugs.ruby-lang.org 22224).
    def jit_in_ractors?
      return @jit_in_ractors if defined?(@jit_in_ractors)

      probe = "exit !KinoRails::Probe.captures_stop_ractors?"
      @jit_in_ractors = Machine.jit? && system(RbConfig.ruby, "--yjit", "-W:no-experimental", "-I", "#{Peers::ROOT}/samples/rails/lib", "-r", "kino/rails/probe", "-e", probe)
    end
  end
end
