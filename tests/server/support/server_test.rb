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

# A test against a real server on a port of its own, in this process. Every test is bounded.
class ServerTest < Minitest::Test
  MODES = %i[ractor threaded].freeze
  LIMIT = 90

  # Defines the test once for each mode; the block gets the mode.
  def self.test(description, modes: MODES, &block)
    modes.each do |mode|
      define_method("test_#{description.gsub(/\W+/, "_")}_in_#{mode}") { instance_exec(mode, &block) }
    end
  end

  # Says that the test below it shows what these options, or statistics of Server#stats, do. Each of them has one such
  # test: coverage_test.rb looks for it, and for the names in it.
  def self.covers(*); end

  def run
    Timeout.timeout(LIMIT) { super }
  end

  def teardown
    super
    @gates&.each(&:close)
    @servers&.each { |server| server.shutdown(timeout: 5) }
  end

  # A started server, stopped after the test.
  def serve(app, mode, workers: 2, threads: 1, lint: true, **options)
    app = lint ? Apps.linted(app) : Ractor.make_shareable(app)
    server = Kino::Server.new(app, mode: mode, workers: workers, threads: threads, **options)
    (@servers ||= []) << server
    server.start
  end

  def gate
    (@gates ||= []).push(Gate.new).last
  end

  # Waits until the block is true by polling; for states without a notification, such as counters.
  def eventually(what, seconds: 20)
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
    until yield
      flunk "not within #{seconds} s: #{what}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
      Thread.pass
      IO.select(nil, nil, nil, 0.005)
    end
    pass
  end

  # The server is as good as new: no request in flight or queued, all workers present, the next request served.
  def assert_healthy(server, workers: nil)
    workers ||= server.settings[:workers] * server.settings[:threads]
    eventually("in_flight back to 0") { server.stats[:in_flight].zero? }
    eventually("queued back to 0") { server.stats[:queued].zero? }
    eventually("#{workers} workers") { server.stats[:alive] == workers }
    Client.open(server.port) { |client| assert_equal 200, client.get("/").status }
  end

  # Sends the server's log, which goes to this process's standard error from any Ractor, to a file while
  # the block runs; returns what was written.
  def logged
    require "tempfile"
    Tempfile.create("kino-log") do |file|
      saved = $stderr.dup
      begin
        Kino::Log.flush(LIMIT)
        $stderr.reopen(file)
        yield
      ensure
        Kino::Log.flush(LIMIT)
        $stderr.reopen(saved)
        saved.close
      end
      file.rewind
      file.read
    end
  end
end
