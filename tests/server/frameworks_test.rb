# frozen_string_literal: true

require_relative "support/load"
require_relative "support/server_test"

# Real frameworks under load: 64 connections for ten seconds without an error.
class FrameworksTest < ServerTest
  CONNECTIONS = 64
  SECONDS = 10

  # Loads a framework, or skips the test where it is not installed.
  def need(library)
    require library
  rescue LoadError
    skip "the gem of #{library} is not installed"
  end

  def start(app, **options)
    server = Kino::Server.new(app, **options)
    (@servers ||= []) << server
    server.start
  end

  def load_without_errors(server, **rest)
    result = nil
    log = logged { result = Load.new(server.port, connections: CONNECTIONS, seconds: SECONDS, **rest).run }
    assert_empty result.errors
    assert_equal [200], result.statuses.keys
    assert_empty log
    assert_operator result.statuses[200], :>, CONNECTIONS, "hardly anything was served"
    assert_equal result.statuses[200], server.stats[:served]
    assert_equal 0, server.stats[:respawns]
  end

  def test_sinatra_in_threads
    need "sinatra/base"
    app = Class.new(Sinatra::Base) do
      set :environment, :production
      set :host_authorization, { permitted_hosts: [] }
      get("/hello/:name") { "Hello, #{params[:name]}" }
    end
    server = start(app, mode: :threaded)
    load_without_errors(server, path: "/hello/kino", body: "Hello, kino")
  end

  def test_sinatra_is_not_taken_for_shareable
    need "sinatra/base"
    app = Class.new(Sinatra::Base) { get("/") { "x" } }
    logged { assert_equal :threaded, Kino::Server.new(app).mode }
  end

  def test_roda_in_threads
    need "roda"
    server = start(roda.freeze.app, mode: :threaded)
    load_without_errors(server, path: "/hello/kino", body: "Hello, kino")
  end

  def test_roda_in_ractors
    need "roda"
    server = start(roda.freeze.app, mode: :ractor)
    load_without_errors(server, path: "/hello/kino", body: "Hello, kino")
  end

  # A framework of one class: routing, middleware and JSON of its own.
  class Small
    # Typical middleware.
    class Timing
      def initialize(app)
        @app = app
      end

      def call(env)
        started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        status, headers, body = @app.call(env)
        [status, headers.merge("x-seconds" => (Process.clock_gettime(Process::CLOCK_MONOTONIC) - started).to_s), body]
      end
    end

    def initialize(routes)
      @routes = routes
    end

    def call(env)
      @routes.each do |pattern, greeting|
        match = pattern.match(env["PATH_INFO"]) or next
        return [200, { "content-type" => "text/plain" }, [format(greeting, match[1])]]
      end
      [404, {}, []]
    end
  end

  def test_a_plain_app_in_ractors
    app = Ractor.make_shareable(Small::Timing.new(Small.new({ %r{\A/hello/(\w+)\z} => "Hello, %s" })))
    server = start(app, mode: :ractor)
    load_without_errors(server, path: "/hello/kino", body: "Hello, kino")
  end

  private

  # Ractors run a route block only if it is shareable itself, which needs self to be (here: the class).
  def roda
    Class.new(Roda) do
      route(&Ractor.make_shareable(proc do |r|
        r.get("hello", String) { |name| "Hello, #{name}" }
      end))
    end
  end
end
