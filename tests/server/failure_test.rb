# frozen_string_literal: true

require_relative "support/load"
require_relative "support/server_test"

# Handlers that raise, and handlers that end their worker.
class FailureTest < ServerTest
  # An error whose #message raises.
  class Mute < StandardError
    def message
      raise "not even this"
    end
  end

  # Fails in every way.
  class Failing < Apps::Basic
    def raise_error(_env)
      raise ArgumentError, "the handler's fault"
    end

    def raise_mute(_env)
      raise Mute
    end

    def cause(_env)
      begin
        Integer("x")
      rescue ArgumentError
        raise "outer"
      end
    end

    def exception(_env)
      raise Exception, "the worker's end"
    end

    def no_memory(_env)
      raise NoMemoryError, "pretended"
    end

    def exit_process(_env)
      exit
    end

    def interrupt(_env)
      raise Interrupt
    end

    def exit_thread(_env)
      Thread.exit
    end

    def kill_thread(_env)
      Thread.current.kill
    end

    def throw_out(_env)
      throw :nowhere
    end

    def deep(env)
      deep(env)
    end

    def fiber(_env)
      Fiber.yield
    end

    def sometimes(env)
      raise Exception, "crash" if env["QUERY_STRING"].to_i.odd?

      Apps.text("hello")
    end

    def die_streaming(_env)
      [200, { "content-type" => "text/plain" }, Enumerator.new { |out| out << "half"; raise Exception, "in mid-stream" }]
    end
  end

  DEATHS = %w[exception no-memory exit-process interrupt exit-thread kill-thread deep].freeze
  ERRORS = %w[raise-error raise-mute cause throw-out fiber].freeze

  test "an error becomes a 500 and a log entry with the app's frames first, and the connection stays open" do |mode|
    server = serve(Failing.new, mode)
    log = logged do
      Client.open(server.port) do |client|
        ERRORS.each do |path|
          response = client.get("/#{path}")
          assert_equal 500, response.status, path
          refute response.closes?
          refute_match(/fault/, response.body, "the response must not reveal internals")
        end
      end
    end
    assert_equal 0, server.stats[:respawns]
    assert_match(/GET \/raise-error raised: ArgumentError: the handler's fault\n +\S*failure_test\.rb:\d+/, log)
    assert_match(/outer\n.*caused by ArgumentError: invalid value/m, log)
    frames = log[/the handler's fault\n(.*?)^kino/m, 1].lines
    libraries = frames.index { |frame| frame.include?("-- libraries --") }
    refute_nil libraries
    assert(frames.first(libraries).none? { |frame| frame.include?("/lib/kino/") || frame.include?("rack/lint") })
    assert(frames.drop(libraries).any? { |frame| frame.include?("/kino/workers/worker.rb") })
    assert_healthy(server)
  end

  covers :respawns, :alive
  test "if a handler ends its worker, the client gets 500 at once and the worker is replaced" do |mode|
    server = serve(Failing.new, mode, workers: 2)
    logged do
      DEATHS.each_with_index do |path, index|
        Client.open(server.port) do |client|
          response = client.get("/#{path}")
          assert_equal 500, response.status, path
          assert response.closes?, path
          assert client.closed_by_server?
        end
        eventually("respawn after #{path}") { server.stats.values_at(:respawns, :alive) == [index + 1, 2] }
      end
    end
    assert_healthy(server)
  end

  test "a worker that dies in mid-stream aborts the connection" do |mode|
    server = serve(Failing.new, mode)
    logged do
      Client.open(server.port) { |client| refute client.get("/die-streaming").complete }
      eventually("one respawn") { server.stats.values_at(:respawns, :alive) == [1, 2] }
      assert_healthy(server)
    end
  end

  test "a thread of a worker that dies does not affect the worker's other threads" do |mode|
    server = serve(Failing.new, mode, workers: 2, threads: 3)
    held = gate
    others = Array.new(5) { Client.new(server.port).send_request("GET", "/hold?#{held.query}") }
    held.await(5)
    logged do
      10.times do |n|
        Client.open(server.port) { |client| assert_equal 500, client.get("/exception").status }
        eventually("the thread is replaced") { server.stats.values_at(:respawns, :alive) == [n + 1, 6] }
      end
    end
    held.open
    others.each { |client| assert_equal "held", client.read_response.body }
    assert_healthy(server)
  ensure
    others&.each(&:close)
  end

  test "after five hundred crashes under load, every request has its response and every worker is replaced" do |mode|
    server = serve(Failing.new, mode, workers: 4)
    logged do
      result = Load.new(server.port, connections: 16, requests: 1000, path: ->(n) { "/sometimes?#{n}" }).run
      assert_equal({ 200 => 500, 500 => 500 }, result.statuses)
      assert_empty result.errors
      eventually("500 respawns and 4 workers") { server.stats.values_at(:respawns, :alive) == [500, 4] }
    end
    assert_healthy(server)
    assert_operator server.stats[:worker_status].size, :<=, 4 + Kino::Topology::SPARE_SLOTS, "every death took a slot"
  end
end
