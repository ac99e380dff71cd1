# frozen_string_literal: true

require_relative "support/server_test"

# Where handlers run, and the messages if they cannot run in Ractors.
class ModeTest < ServerTest
  # An app with something mutable deep inside.
  class Deep
    def initialize
      @routes = { "/" => ["start", +"unfrozen"].freeze }.freeze
    end

    def call(_env)
      [200, {}, ["deep"]]
    end
  end

  # A class as the app, with state that other Ractors cannot read.
  class Stateful
    @hits = []

    def self.call(_env)
      @hits << 1
      [200, {}, [@hits.size.to_s]]
    end
  end

  # A class as the app, without state.
  module Plain
    def self.call(_env)
      [200, {}, [Ractor.current.name.to_s]]
    end
  end

  def start(app, **options)
    start_server(app, workers: 1, threads: 1, **options)
  end

  def get(server)
    Client.open(server.port) { |client| client.get("/").body }
  end

  covers :mode
  def test_auto_runs_a_shareable_app_in_ractors
    log = logged do
      server = start(Plain)
      assert_equal :ractor, server.mode
      assert_equal :ractor, server.stats[:mode]
      assert_equal "kino worker 0", get(server)
    end
    assert_empty log
  end

  def test_auto_falls_back_to_threads_and_logs_the_reason
    log = logged do
      server = start(Deep.new.freeze)
      assert_equal :threaded, server.mode
      assert_equal "deep", get(server)
    end
    assert_match(/\Akino: the app cannot run in Ractors, so it runs in Threads: the app\.@routes\["\/"\]\[1\] is an unfrozen String \("unfrozen"\); `kino --check`/, log)
    assert_equal 1, log.lines.size, log
  end

  def test_auto_falls_back_for_a_class_with_state
    log = logged do
      server = start(Stateful)
      assert_equal :threaded, server.mode
      assert_equal "1", get(server)
    end
    assert_match(/class-level @hits/, log)
  end

  # Frozen itself, with constants that other Ractors cannot read.
  class Constants
    LIST = []
    HEADERS = { "content-type" => +"text/plain" }.freeze

    def call(_env)
      LIST << 1
      [200, HEADERS, [LIST.size.to_s]]
    end
  end

  def test_auto_falls_back_for_constants_that_call_reads
    log = logged do
      server = start(Constants.new.freeze)
      assert_equal :threaded, server.mode
      assert_equal "1", get(server)
    end
    assert_match(/Constants#call \(\S+mode_test\.rb:\d+\) reads ModeTest::Constants::LIST .* \(and 1 more reason\);/, log)
    assert_equal 1, log.lines.size, log
  end

  # Rails has thousands of objects that cannot be shared, so the line names the framework instead of listing them.
  def test_auto_falls_back_for_rails_in_one_short_line
    output = Child.output("-e", <<~RUBY).last
      require "kino"
      module Rails
        class Application
          def initialize = @autoload_paths = ["a"]
          def call(_env) = [200, {}, []]
        end
        module VERSION
          STRING = "8.9.7"
        end
      end
      class Blog < Rails::Application
        @instance = new
        def self.call(env) = @instance.call(env)
      end
      class Around
        def initialize(app) = @app = app
        def call(env) = @app.call(env)
      end
      [Rails::Application.new, Blog, Around.new(Blog), Around.new(Blog.new)].each { |app| puts Kino::Server.new(app).mode }
    RUBY
    assert_equal "kino: Rails 8.9.7 cannot run in Ractors; running in Threads (`kino --check` lists the reasons)\n" * 4 + "threaded\n" * 4, output.lines.sort.join
  end

  # Has state of several kinds, used only by requests to /state.
  class Doubtful
    FIRST = []
    SECOND = []
    @@count = 0

    def call(env)
      return [200, {}, ["fine"]] unless env["PATH_INFO"] == "/state"

      @@count += 1
      $kino_mode_test = [FIRST, SECOND]
      [200, {}, ["state"]]
    end
  end

  def test_mode_ractor_logs_one_finding_of_each_kind_at_the_start
    log = logged do
      server = start(Doubtful.new.freeze, mode: :ractor)
      assert_equal [:ractor, "fine"], [server.mode, get(server)]
    end
    assert_match(/\Akino: mode :ractor is set, but .* a request that reaches it gets 500:$/, log)
    findings = log.lines.grep(/\A  \* /)
    assert_equal 3, findings.size, log
    assert_equal 1, findings.grep(/reads ModeTest::Doubtful::FIRST .*\(and more of this kind\)$/).size, log
    assert_equal 1, findings.grep(/the class variable @@count/).size, log
    assert_equal 1, findings.grep(/the global variable \$kino_mode_test/).size, log
    assert_match(/^  `kino --check` lists all/, log)
  end

  def test_auto_falls_back_for_a_block
    captured = []
    log = logged do
      server = start(proc { |_env| captured << 1; [200, {}, ["block"]] })
      assert_equal :threaded, server.mode
      assert_equal "block", get(server)
    end
    assert_match(/mode_test\.rb:\d+/, log)
  end

  def test_mode_threaded_logs_nothing
    log = logged { assert_equal "deep", get(start(Deep.new, mode: :threaded)) }
    assert_empty log
  end

  def test_mode_ractor_refuses_an_unshareable_app_and_does_not_change_it
    app = Deep.new
    error = assert_raises(Kino::UnshareableAppError) { Kino::Server.new(app, mode: :ractor) }
    assert_match(/@routes\["\/"\]\[1\]/, error.message)
    assert_match(/Call Ractor\.make_shareable\(app\)/, error.message)
    assert_equal :unfrozen, error.report.findings.first.kind
    refute app.frozen?
    refute app.instance_variable_get(:@routes)["/"][1].frozen?
    error = assert_raises(Kino::UnshareableAppError) { Kino::Server.new(Object.new.tap { |o| def o.call(_) = nil }, mode: :ractor) }
    assert_match(/the app is an unfrozen Object/, error.message)
  end

  def test_a_shareable_block_runs_in_ractors
    block = proc { |_env| [200, {}, ["shared block"]] }
    app = if Ractor.respond_to?(:shareable_proc)
            Ractor.shareable_proc { |_env| [200, {}, ["shared block"]] }
          else
            nil.instance_exec { Ractor.make_shareable(proc { |_env| [200, {}, ["shared block"]] }) }
          end
    refute Ractor.shareable?(block)
    server = start(app)
    assert_equal [:ractor, "shared block"], [server.mode, get(server)]
  end

  def test_an_app_without_call_is_refused
    assert_raises(ArgumentError) { Kino::Server.new(Object.new) }
  end

  def test_creating_ractors_does_not_warn_and_keeps_the_setting_for_warnings
    status, output = Child.output("-W:experimental", "-e", <<~RUBY)
      require "kino"
      server = Kino::Server.new(Module.new { def self.call(_env) = [200, {}, []] }, mode: :ractor, workers: 2).start
      puts Warning[:experimental]
      server.shutdown
    RUBY
    assert_equal [0, "true\n"], [status, output]
  end

  def test_each_mode_has_its_default_numbers_of_workers_and_threads
    cpus = Kino.available_parallelism
    assert_operator cpus, :>=, 1
    ractor = Kino::Server.new(Plain, mode: :ractor).settings
    assert_equal [(cpus * 16).clamp(64, 128), 1, cpus], %i[workers threads concurrency].map { |name| ractor[name] }
    threaded = Kino::Server.new(Plain, mode: :threaded).settings
    assert_equal [[cpus * 16, 128].min, 3, 1], %i[workers threads concurrency].map { |name| threaded[name] }
  end

  def test_the_default_number_of_ractors_serves
    server = start_server(Plain, mode: :ractor)
    assert_equal server.settings[:workers], server.stats[:alive]
    names = Array.new(50) { get(server) }
    assert(names.all? { |name| name.start_with?("kino worker ") })
  end

  def test_kino_sleep_sleeps_for_the_given_time_and_can_be_interrupted
    started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    Kino.sleep(0.01)
    assert_operator Process.clock_gettime(Process::CLOCK_MONOTONIC) - started, :>=, 0.01
    sleeper = Thread.new { Kino.sleep(60) }
    sleeper.report_on_exception = false
    Thread.pass until sleeper.stop? || sleeper.status == "sleep"
    sleeper.kill
    assert sleeper.join(20), "Kino.sleep cannot be interrupted"
  end
end
