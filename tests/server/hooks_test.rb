# frozen_string_literal: true

require_relative "support/server_test"
require "kino/config/template"

# What hooks are called with, where and when, and what those that fail do.
class HooksTest < ServerTest
  # Records its calls as lines of a file, which all Ractors can write.
  class Recorder
    def initialize(path, word)
      @path = path.dup.freeze
      @word = word.dup.freeze
      freeze
    end

    def call(*arguments)
      facts = arguments.map { |one| one.is_a?(Hash) ? one["PATH_INFO"] : one }
      File.write(@path, "#{[@word, *facts].join(" ")}\n", mode: "a")
    end
  end

  # Raises what is hard to rescue.
  class Failing
    def initialize(kind)
      @kind = kind
      freeze
    end

    def call(*)
      case @kind
      when :exit then exit
      when :throw then throw :nowhere
      else raise Exception, "from a hook" # rubocop:disable Lint/RaiseException
      end
    end
  end

  module App
    def self.call(env)
      raise "no" if env["PATH_INFO"] == "/raise"
      raise NotImplementedError, "the end of this worker" if env["PATH_INFO"] == "/die"

      [200, {}, ["served"]]
    end
  end

  def path = File.join(directory, "calls")

  def calls
    File.exist?(path) ? File.readlines(path, chomp: true) : []
  end

  def recorder(word) = Recorder.new(path, word)

  test "hooks get what they are documented to get" do |mode|
    hooks = Kino::Hooks::NAMES.to_h { |name| [name, recorder(name.to_s)] }
    server = serve(App, mode, workers: 1, lint: false, **hooks)
    assert_includes calls, "after_boot"
    Client.open(server.port) do |client|
      assert_equal 200, client.get("/fine").status
      assert_equal 500, client.get("/raise").status
      assert_equal 200, client.get("/last").status
    end
    eventually("the last request's hook") { calls.include?("after_request_complete /last 200") }
    assert_match(/\Aafter_worker_boot \d+\z/, (calls - ["after_boot"]).first)
    assert_equal ["after_request_complete /fine 200", "on_error no /raise", "after_request_complete /raise 500",
                  "after_request_complete /last 200"], calls.grep(%r{ /})
    Client.open(server.port) { |client| assert_equal 500, client.get("/die").status }
    eventually("the hook of a worker's end") { calls.any? { |call| call.start_with?("on_worker_exit") } }
    assert_match(/\Aon_worker_exit \d+ NotImplementedError: the end of this worker\z/, calls.grep(/on_worker_exit/).first)
    eventually("the replacement's hook") { calls.grep(/after_worker_boot/).size == 2 }
  end

  test "the hook of a worker's end gets what ended it" do |mode|
    ends = Thread::Queue.new
    server = serve(App, mode, workers: 1, lint: false, on_worker_exit: ->(*all) { ends << all })
    log = logged { Client.open(server.port) { |client| assert_equal 500, client.get("/die").status } }
    id, error = ends.pop
    assert_match(/^kino: worker #{id} died/, log)
    assert_equal [Kino::WorkerDied, "NotImplementedError", "NotImplementedError: the end of this worker"],
                 [error.class, error.error_class, error.message]
    assert_match(/\A#{__FILE__}:\d+:in /, error.backtrace.first)
    eventually("the replacement") { server.stats.values_at(:respawns, :alive) == [1, 1] }
    server.shutdown
    assert_equal [id, nil], ends.pop
  end

  def test_init_and_docs_list_every_hook
    init = Kino::Template.text
    docs = File.read(File.expand_path("../../docs/hooks.md", __dir__))
    Kino::Hooks::ALL.each do |name, (parameters, _)|
      assert_match(/^# #{name} \{ #{Regexp.escape("|#{parameters}| ") unless parameters.empty?}\}$/, init)
      assert_match(/^\| `#{name}` \| #{parameters.empty? ? "none" : "`#{parameters}`"} \|/, docs)
    end
  end

  test "hooks that fail are logged and harm nothing, and the others run in order" do |mode|
    hooks = Kino::Hooks::NAMES.to_h do |name|
      [name, [recorder("first"), Failing.new(:exit), Failing.new(:throw), Failing.new(:raise), recorder("last #{name}")]]
    end
    server = nil
    _, log = capture_io do
      server = serve(App, mode, workers: 1, lint: false, **hooks)
      Client.open(server.port) do |client|
        3.times { assert_equal 500, client.get("/raise").status }
        assert_equal 200, client.get("/").status
      end
    end
    assert_equal 0, server.stats[:respawns]
    assert_equal 3, calls.grep(/\Alast on_error/).size
    assert_includes calls, "last after_boot"
    assert_match(/the hook after_boot \(HooksTest::Failing\) raised: Exception: from a hook/, log)
  end

  test "a block that Ractors cannot share is refused with its place and a way out", modes: [:ractor] do |mode|
    seen = +"not shareable"
    error = assert_raises(Kino::ConfigError) { start_server(App, mode: mode, on_error: proc { seen << "x" }) }
    assert_match(/\Aon_error \(.*hooks_test\.rb:\d+\): the hook runs in Ractors, which cannot share it: .*mode :threaded/m, error.message)
    assert_raises(Kino::ConfigError) { start_server(App, mode: mode, on_error: 7) }
  end

  test "the configuration file takes blocks and objects", modes: [:threaded] do |mode|
    file = File.join(directory, "kino.rb")
    File.write(file, <<~RUBY)
      mode :#{mode}
      workers 1
      threads 1
      port 0
      after_request_complete { |env, status| File.write(#{path.dump}, "\#{env["PATH_INFO"]} \#{status}\n") }
    RUBY
    server = Kino::Server.new(App, settings: Kino::Settings.new({}, file: Kino::ConfigFile.new(file)))
    (@servers ||= []) << server
    server.start
    Client.open(server.port) { |client| 2.times { client.get("/of-a-file") } }
    eventually("the hook") { calls == ["/of-a-file 200"] }
    File.write(file, "on_error 7\nafter_boot\n")
    assert_equal 2, Kino::ConfigFile.new(file).mistakes.size
  end

  test "a block of the configuration file runs in Ractors where Ruby can share it, and is refused elsewhere", modes: [:ractor] do |mode|
    file = File.join(directory, "kino.rb")
    File.write(file, "path = #{path.dump}.freeze\nafter_worker_boot { |worker_id| File.write(path, worker_id) }\n")
    settings = Kino::Settings.new({ mode: mode, workers: 1, port: 0 }, file: Kino::ConfigFile.new(file))
    if Ractor.respond_to?(:shareable_proc)
      (@servers ||= []) << Kino::Server.new(App, settings: settings).start
      eventually("the hook") { calls.any? { |call| call.match?(/\A\d+\z/) } }
    else
      error = assert_raises(Kino::ConfigError) { Kino::Server.new(App, settings: settings) }
      assert_match(/\Aafter_worker_boot \(.*kino\.rb:2\)/, error.message)
    end
  end
end
