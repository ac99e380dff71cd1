# frozen_string_literal: true

require "json"
require "minitest/autorun"
require "monitor"
require "objspace"
require "rbconfig"

require "kino/check"

# Kino::Check.report: what it says about the shapes that real frameworks have, and its request in a Ractor.
class CheckTest < Minitest::Test
  # As in Sinatra: a class is the app; settings are singleton methods defined by blocks, state is in the class.
  class ClassApp
    @routes = {}
    @@mutex = Mutex.new

    class << self
      attr_reader :routes

      def set(name, value) = define_singleton_method(name) { value }
      def prototype = @prototype ||= new
      def call(env) = synchronize { prototype.answer(env) }
      def synchronize(&block) = @@mutex.synchronize(&block)
    end

    set :headers, ["content-type"]

    def answer(_env) = [200, self.class.routes, self.class.headers]
  end

  # As in Roda: the route block becomes a method, and the class is frozen.
  class RouteBlock
    def self.route(&block) = define_method(:_main_route, &block)
    def self.call(env) = new.handle(env)
    def handle(env) = _main_route(env)
    def self.plugin(name) = @plugins = name

    prefix = ["/"]
    route { |env| [200, {}, [prefix.first + env["PATH_INFO"]]] }
    freeze
  end

  # As in Hanami's router: a tree of routes whose blocks have the router as self.
  class Router
    def initialize(&block)
      @cache = ObjectSpace::WeakMap.new
      @routes = { "GET" => [] }
      instance_eval(&block)
    end

    def get(path, to:) = @routes["GET"] << [path, to]
    def call(env) = @routes["GET"].assoc(env["PATH_INFO"]).last.call(env)
  end

  # As in Grape: the class forwards to another one that it made, which has the code and a lock in a constant.
  class Forwards
    class Instance
      LOCK = Mutex.new

      def self.call(env) = LOCK.synchronize { (@instance ||= new).call(env) }
      def call(_env) = [200, {}, []]
    end

    class << self
      def setup = @base_instance = Class.new(Instance)
      def call(env) = @base_instance.call(env)
    end

    setup
  end

  # As in Rack: middleware around an app, one with a lambda whose self is the middleware, and a module with settings.
  module Settings
    METHODS = %w[GET HEAD]
    SYMBOLS = { ok: [+"200"] }

    class << self
      attr_accessor :ip_filter
    end
    self.ip_filter = ->(ip) { ip }
  end

  class Files
    def initialize(app)
      @app = app
      @head = [->(env) { get(env) }]
    end

    def call(env) = Settings::METHODS.include?(env["REQUEST_METHOD"]) ? @head.first.call(env) : @app.call(env)
    def get(env) = [200, {}, [Settings.ip_filter.call(env["REMOTE_ADDR"]), Settings::SYMBOLS[:ok].first]]
  end

  class Hello
    def call(_env) = [200, {}, ["hello"]]
  end

  # As in Rails: locks, a logger, and hashes with blocks in a large configuration.
  class Application
    def initialize
      @lock = Monitor.new
      @config = { logger: [$stderr], options: Hash.new { |hash, key| hash[key] = self } }
      @autoload_paths = %w[a b c d e f g h i j k l].map(&:dup)
    end

    def call(_env) = [200, {}, []]
  end

  Answers = Module.new { def self.call(env) = [env["PATH_INFO"] == "/up" ? 200 : 404, {}, ["x"]] }

  def report(app, **options)
    Kino::Check.report(app, **options)
  end

  def texts(app)
    report(app).findings.map(&:to_s)
  end

  def assert_found(pattern, found)
    assert(found.any? { |one| pattern.match?(one) }, "#{pattern.inspect} is not in\n#{found.join("\n")}")
  end

  def test_a_class_with_settings
    found = texts(ClassApp)
    assert_found(/\Athe app is CheckTest::ClassApp, whose class-level @routes cannot be read/, found)
    assert_found(/ClassApp\.prototype \(\S+\) sets @prototype of/, found)
    assert_found(/ClassApp\.routes \(\S+\) reads @routes of .*, a Hash that is not shareable/, found)
    assert_found(/ClassApp\.synchronize \(\S+\) reads the class variable @@mutex/, found)
    assert_found(/ClassApp\.headers \(\S+\) is a block given to define_method \(it uses value, an Array\)/, found)
  end

  def test_a_route_block
    found = texts(RouteBlock)
    assert_found(/RouteBlock#_main_route \(\S+\) is a block given to define_method \(it uses prefix, an Array\)/, found)
    refute(found.any? { |one| one.include?("plugin") }, "nothing that serves a request calls plugin")
  end

  def test_a_router
    found = texts(Router.new { get("/", to: ->(_env) { [200, {}, []] }) })
    assert_found(/\Athe app\.@cache is an ObjectSpace::WeakMap, which belongs to one Ractor/, found)
    assert_found(/\Athe app\.@routes\["GET"\]\[0\]\[1\] is a lambda \(\S+\), whose self, a CheckTest::Router, is not shareable/, found)
  end

  def test_a_class_that_forwards_to_another
    found = texts(Forwards)
    assert_found(/Instance\.call \(\S+\) reads \S+Instance::LOCK \(\S+\), which is a Thread::Mutex/, found)
    assert_found(/Instance\.call \(\S+\) sets @instance of an anonymous subclass of CheckTest::Forwards::Instance/, found)
  end

  def test_a_stack_of_middleware
    check = report(Files.new(Hello.new))
    found = check.findings.map(&:to_s)
    assert_found(/\Athe app\.@head\[0\] is a lambda \(\S+\), whose self, a CheckTest::Files, is not shareable and used/, found)
    assert_found(/\Athe app\.@app is an unfrozen CheckTest::Hello\z/, found)
    assert_found(/Settings\.ip_filter \(\S+\) reads @ip_filter of CheckTest::Settings, a Proc/, found)
    values = check.to_s[/\[(.*)\]\.each \{ \|value\| Ractor\.make_shareable\(value\) \}/, 1].split(", ").sort
    assert_equal ["CheckTest::Settings.instance_variable_get(:@ip_filter)", "CheckTest::Settings::METHODS", "CheckTest::Settings::SYMBOLS"], values
  end

  def test_a_large_application_gets_a_short_report
    check = report(Application.new)
    lines = check.to_s.lines.map(&:chomp)
    assert_equal "The app cannot run in Ractors:", lines.first
    assert_includes lines, "  * the app.@lock is a #{Monitor}, which belongs to one Ractor"
    assert_includes lines, "  * the app.@config[:logger][0] is an IO, which belongs to one Ractor"
    assert_found(/the app\.@config\[:options\]\.default_proc is a block \(\S+\), whose self, a CheckTest::Application/, lines)
    assert_found(/\A  \* 17 objects are not frozen: the app, the app\.@config, .*, 12 more\z/, lines)
    assert_operator lines.size, :<, 15
    assert_match(/\Athe app\.@lock is a #{Monitor}.* \(and \d+ more reasons\)\z/, check.summary)
  end

  def test_data_has_the_documented_keys
    data = report(Files.new(Hello.new)).to_h
    assert_equal %w[schema kino ruby ractors shareable complete omitted findings warm_up], data.keys
    assert_equal [1, false, false, true, 0, nil], data.values_at("schema", "ractors", "shareable", "complete", "omitted", "warm_up")
    data["findings"].each do |finding|
      assert_equal %w[kind subject text file line defined_at freezing_mends fix], finding.keys
      assert_match(/\A[A-Z].*\.\z|\AIf nothing/, finding["fix"])
    end
    block = data["findings"].find { |finding| finding["kind"] == "self" }
    assert_equal [__FILE__, Files.instance_method(:initialize).source_location.last + 2], block.values_at("file", "line")
    kinds = data["findings"].map { |finding| finding["freezing_mends"] }
    assert_equal kinds.sort_by { |mends| mends ? 1 : 0 }, kinds
    JSON.generate(data)
  end

  def test_every_kind_has_a_fix_of_one_sentence_and_is_documented
    documented = File.read(File.expand_path("../../docs/ractors.md", __dir__))
    Kino::RactorAudit::Fixes::SENTENCES.each do |kind, fix|
      assert_match(/\A[A-Z].*\.\z/, fix)
      assert_includes documented, "| `#{kind}` |" unless kind == :shared_value
    end
    report(Hello.new).to_h.each_key { |key| assert_includes documented, "| `#{key}` |" }
    report(Hello.new).to_h["findings"].first.each_key { |key| assert_includes documented, "| `#{key}` |" }
  end

  def test_a_request_in_a_ractor_is_answered
    check = report(Answers, path: "/up?x=1")
    assert check.ractors?
    assert_equal({ "path" => "/up?x=1", "ok" => true, "status" => 200 }, check.warm_up.to_h)
    check = report(Answers, path: "/elsewhere")
    assert_equal "GET /elsewhere in a Ractor was answered with 404.", check.warm_up.to_s
  end

  # The middle one of three errors has a message that raises.
  module Chain
    class Mute < StandardError
      def message = raise("asked")
    end

    def self.call(_env)
      begin
        begin
          Integer("x")
        rescue ArgumentError
          raise Mute
        end
      rescue Mute
        raise KeyError, "outer\e[31m"
      end
    end
  end

  def test_an_error_in_a_ractor_is_shown_with_all_its_causes
    check = report(Chain, path: "/")
    refute check.ractors?
    causes = check.to_h["warm_up"]["causes"]
    assert_equal %w[KeyError CheckTest::Chain::Mute ArgumentError], causes.map { |one| one["class"] }
    assert_equal ["outer?[31m", "(its #message raised RuntimeError)"], causes.first(2).map { |one| one["message"] }
    # Ruby 3.4 shows frames of its own.
    causes.each { |one| assert_match(/check_test\.rb:\d+/, one["backtrace"].grep_v(/\A<internal:/).first) }
    assert_match(/^  caused by ArgumentError: invalid value for Integer\(\): "x"$/, check.to_s)
    refute_match(%r{kino/check/}, check.to_s)
  end

  # Fails only in a Ractor, in a method that the audit cannot know.
  module Computed
    @state = []
    def self.call(_env) = [200, {}, [public_send(%w[sta te].join)]]
    def self.state = @state
  end

  def test_a_request_finds_what_the_audit_cannot_know
    causes = report(Computed, path: "/").to_h["warm_up"]["causes"]
    assert_equal "Ractor::IsolationError", causes.first["class"]
  end

  Loops = Module.new { def self.call(_env) = loop {} }
  Ends = Module.new { def self.call(_env) = Process.kill(:KILL, Process.pid) }
  Streams = Module.new { def self.call(_env) = [200, {}, Enumerator.new { |out| loop { out << "data" } }] }
  Raises = Module.new { def self.call(_env) = [200, {}, Enumerator.new { |_out| raise IOError, "in the body" }] }

  def test_a_request_that_does_not_end_is_given_up
    check = report(Loops, path: "/", timeout: 0.5)
    assert_equal({ "path" => "/", "ok" => false, "timeout" => 0.5 }, check.warm_up.to_h)
    assert_raises(Errno::ECHILD) { Process.waitpid(-1) }
  end

  def test_a_request_that_ends_its_process_is_reported
    assert_equal "GET / in a Ractor ended its process: signal 9 (KILL).", report(Ends, path: "/").warm_up.to_s
  end

  def test_the_body_is_read_but_not_for_ever
    assert_equal 200, report(Streams, path: "/").to_h["warm_up"]["status"]
    assert_equal "IOError", report(Raises, path: "/").to_h["warm_up"]["causes"].first["class"]
  end

  def test_a_request_is_not_sent_to_an_app_that_ractors_cannot_share
    check = report(Hello.new, path: "/")
    assert_equal({ "path" => "/", "ok" => false, "skipped" => "Ractors cannot share the app" }, check.warm_up.to_h)
  end

  def test_the_check_loads_no_native_code_and_changes_nothing
    app = Files.new(Hello.new)
    report(app)
    refute app.frozen?
    refute Settings::METHODS.frozen?
    command = [RbConfig.ruby, "-I", File.expand_path("../../samples/server/lib", __dir__), "-e",
               "require 'kino/check'; Kino::Check.report([]); puts $LOADED_FEATURES.grep(/kino_native/).size"]
    assert_equal "0\n", IO.popen(command, &:read)
  end
end
