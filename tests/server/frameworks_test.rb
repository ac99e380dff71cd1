# frozen_string_literal: true

require_relative "support/load"
require_relative "support/server_test"

# Real frameworks under load, without an error.
class FrameworksTest < ServerTest
  CONNECTIONS = 64
  SECONDS = 10

  # Loads a framework, or skips the test if it is not installed.
  def need(library)
    require library
  rescue LoadError
    skip "the gem of #{library} is not installed"
  end

  def assert_serves(app, mode)
    server = start_server(app, mode: mode)
    result = nil
    load = Load.new(server.port, connections: CONNECTIONS, seconds: SECONDS, path: "/hello/kino", body: "Hello, kino")
    log = logged { result = load.run }
    assert_empty result.errors
    assert_equal [200], result.statuses.keys
    assert_empty log
    assert_operator result.statuses[200], :>, CONNECTIONS, "too few requests were served"
    assert_equal result.statuses[200], server.stats[:served]
    assert_equal 0, server.stats[:respawns]
  end

  def test_sinatra_runs_in_threads
    need "sinatra/base"
    app = Class.new(Sinatra::Base) do
      set :environment, :production
      set :host_authorization, { permitted_hosts: [] }
      get("/hello/:name") { "Hello, #{params[:name]}" }
    end
    assert_serves(app, :threaded)
  end

  def test_mode_auto_runs_sinatra_in_threads
    need "sinatra/base"
    app = Class.new(Sinatra::Base) { get("/") { "x" } }
    logged { assert_equal :threaded, Kino::Server.new(app).mode }
  end

  # What the check says about them, and that it says it about any app like them.
  def test_the_check_names_what_keeps_sinatra_out_of_ractors
    need "sinatra/base"
    app = Class.new(Sinatra::Base) { get("/hello/:name") { "x" } }
    findings = Kino::Check.report(app).findings
    { class_state: /whose class-level @conditions, @routes/, class_variable: /\.synchronize \(\S+base\.rb:\d+\) reads the class variable @@mutex/,
      class_level_variable: /\.prototype \(\S+base\.rb:\d+\) sets @prototype/, method: /is a block given to define_method/ }.each do |kind, text|
      assert(findings.any? { |one| one.kind == kind && text.match?(one.text) }, "no #{kind} like #{text.inspect} in\n#{findings.join("\n")}")
    end
  end

  def test_the_check_names_the_route_block_of_roda
    need "roda"
    app = Class.new(Roda) { route { |r| r.get("hello") { "x" } } }.freeze.app
    methods = Kino::Check.report(app).findings.select { |one| one.kind == :method }
    assert_equal [__FILE__], methods.map(&:file).uniq
    refute(Kino::Check.report(roda.freeze.app).findings.any? { |one| %i[method class_state].include?(one.kind) })
  end

  def test_roda_runs_in_threads
    need "roda"
    assert_serves(roda.freeze.app, :threaded)
  end

  def test_roda_runs_in_ractors
    need "roda"
    assert_serves(roda.freeze.app, :ractor)
  end

  # A minimal framework: routing and middleware.
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

  def test_a_plain_app_runs_in_ractors
    app = Ractor.make_shareable(Small::Timing.new(Small.new({ %r{\A/hello/(\w+)\z} => "Hello, %s" })))
    assert_serves(app, :ractor)
  end

  private

  # In a Ractor, the route block must be shareable, and therefore its self, here the class.
  def roda
    Class.new(Roda) do
      route(&Ractor.make_shareable(proc do |r|
        r.get("hello", String) { |name| "Hello, #{name}" }
      end))
    end
  end
end
