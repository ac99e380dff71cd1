# frozen_string_literal: true

require "minitest/autorun"
require "timeout"
require "fileutils"
require "tmpdir"

require "kino"
require "kino/config/config_file"

require_relative "apps"
require_relative "child"
require_relative "client"

# A test of a server in this process, on a free port, or in @child. Every test has a time limit.
class ServerTest < Minitest::Test
  MODES = %i[ractor threaded].freeze
  LIMIT = 90

  # Defines the test once for each mode; the block gets the mode.
  def self.test(description, modes: MODES, &block)
    modes.each do |mode|
      define_method("test_#{description.gsub(/\W+/, "_")}_in_#{mode}") { instance_exec(mode, &block) }
    end
  end

  # Declares that the test below shows the effect of these options or statistics of Server#stats. coverage_test.rb
  # requires such a test for each, and that it uses the name.
  def self.covers(*); end

  def run
    Timeout.timeout(limit) { super }
  end

  # Seconds that a test may take.
  def limit = LIMIT

  def teardown
    super
    @gates&.each(&:close)
    @servers&.each { |server| server.shutdown(timeout: 5) }
    @child&.finish
    FileUtils.rm_rf(@directory) if @directory
  end

  # A directory of this test's own; it is removed after the test.
  def directory
    @directory ||= Dir.mktmpdir("kino")
  end

  # Starts a server with a shareable app; it is stopped after the test.
  def serve(app, mode, workers: 2, threads: 1, lint: true, **options)
    app = lint ? Apps.linted(app) : Ractor.make_shareable(app)
    start_server(app, mode: mode, workers: workers, threads: threads, **options)
  end

  # Starts a server with any app and options; it is stopped after the test.
  def start_server(app, **options)
    server = Kino::Server.new(app, **options)
    (@servers ||= []) << server
    server.start
  end

  def gate
    (@gates ||= []).push(Gate.new).last
  end

  # Polls until the block is true; for states without a notification, such as counters.
  def eventually(what, seconds: 20)
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
    until yield
      flunk "not within #{seconds} s: #{what}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
      Thread.pass
      IO.select(nil, nil, nil, 0.005)
    end
    pass
  end

  # Returns when a request to another server has reached a request_timeout of so many seconds. Then so much time has passed for
  # all servers of this process, too: deadlines of theirs that began before and are not longer are over.
  def let_time_pass(mode, seconds)
    server = serve(Apps::Basic.new, mode, workers: 1, request_timeout: seconds)
    held = gate
    Client.open(server.port) { |client| assert_equal 504, client.get("/hold?#{held.query}").status }
    held.open
  end

  # No request is in flight or queued, all workers are alive, and the next request is served.
  def assert_healthy(server, workers: nil)
    workers ||= server.settings[:workers] * server.settings[:threads]
    eventually("in_flight back to 0") { server.stats[:in_flight].zero? }
    eventually("queued back to 0") { server.stats[:queued].zero? }
    eventually("#{workers} workers") { server.stats[:alive] == workers }
    Client.open(server.port) { |client| assert_equal 200, client.get("/").status }
  end

  # Redirects this process's standard error, and with it the log of all Ractors, to a file while the block runs; returns
  # the text. Waits until so many lines match +awaited+: what the block has seen may be logged a moment later.
  def logged(awaited = nil, times: 1)
    require "tempfile"
    Tempfile.create("kino-log") do |file|
      saved = $stderr.dup
      begin
        Kino::Log.flush(LIMIT)
        $stderr.reopen(file)
        yield
        await_lines(file.path, awaited, times) if awaited
      ensure
        Kino::Log.flush(LIMIT)
        $stderr.reopen(saved)
        saved.close
      end
      file.rewind
      file.read
    end
  end

  private

  def await_lines(path, pattern, times)
    eventually("#{times} lines of the log match #{pattern.inspect}") do
      Kino::Log.flush(LIMIT)
      File.read(path).scan(pattern).size >= times
    end
  end
end
