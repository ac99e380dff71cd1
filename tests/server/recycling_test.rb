# frozen_string_literal: true

require_relative "support/load"
require_relative "support/server_test"

# Workers that are replaced because they have served max_requests.
class RecyclingTest < ServerTest
  class App < Apps::Basic
    # What stays the same as long as its Ractor lives.
    def life(_env)
      Apps.text((Ractor.current[:life] ||= Random.rand(1 << 62)).to_s)
    end

    def die(_env)
      raise NoMemoryError, "as intended"
    end
  end

  # The boot of every worker but the first waits at a gate.
  class HeldBoot
    def initialize(query)
      @query = query.dup.freeze
      freeze
    end

    def call(worker_id)
      Gate.enter(@query) unless worker_id.zero?
    end
  end

  # How many different Ractors answer so many requests.
  def lives(server, requests)
    Client.open(server.port) { |client| Array.new(requests) { client.get("/life").body }.uniq.size }
  end

  # Sends requests, which are all answered, until so many workers have been replaced.
  def serve_until(server, recycled)
    eventually("#{recycled} workers are replaced") do
      result = Load.new(server.port, connections: 8, requests: 100).run
      assert_equal [{ 200 => 100 }, []], [result.statuses, result.errors]
      server.stats[:recycled] >= recycled
    end
  end

  covers :max_requests, :recycled
  test "a worker that has served max_requests is replaced, which is no failure", modes: [:ractor] do |mode|
    ends = Thread::Queue.new
    log = logged do
      server = serve(App.new, mode, workers: 2, max_requests: 10, max_requests_jitter: 0, on_worker_exit: ->(*all) { ends << all })
      serve_until(server, 10)
      assert_healthy(server)
      eventually("all are counted") { server.stats[:recycled] == ends.size }
      assert_equal 0, server.stats[:respawns]
      assert server.shutdown
    end
    assert_empty(ends.size.times.filter_map { ends.pop.last })
    refute_match(/ended|died/, log)
  end

  test "without max_requests no worker is replaced", modes: [:ractor] do |mode|
    server = serve(App.new, mode, workers: 1)
    assert_equal 1, lives(server, 200)
    assert_equal 0, server.stats[:recycled]
  end

  covers :max_requests_jitter
  test "max_requests_jitter lets a worker serve more", modes: [:ractor] do |mode|
    server = serve(App.new, mode, workers: 1, max_requests: 1, max_requests_jitter: 1_000_000_000)
    assert_equal 1, lives(server, 50)
    assert_equal 0, server.stats[:recycled]
    assert_equal 100, Kino::Server.new(App.new.freeze, mode: mode, max_requests: 1000).settings[:max_requests_jitter]
  end

  test "a single worker serves until its successor has booted", modes: [:ractor] do |mode|
    held = gate
    server = serve(App.new, mode, workers: 1, max_requests: 1, max_requests_jitter: 0, after_worker_boot: HeldBoot.new(held.query))
    assert_equal 1, lives(server, 2)
    held.await # The successor has joined, and its hook runs.
    assert_equal 1, lives(server, 20)
    eventually("both are counted") { server.stats.values_at(:recycled, :alive) == [0, 2] }
    held.open
    eventually("it has left, although no request comes") { server.stats[:recycled] == 1 }
    assert_healthy(server)
  end

  test "a Ractor with several Threads is replaced as a whole", modes: [:ractor] do |mode|
    server = serve(App.new, mode, workers: 2, threads: 3, max_requests: 20, max_requests_jitter: 5)
    serve_until(server, 6)
    assert_healthy(server)
    eventually("Ractors leave as a whole") { (server.stats[:recycled] % 3).zero? }
    assert_equal 0, server.stats[:respawns]
    eventually("former Ractors have ended") { Ractor.count == 1 + 2 }
    assert server.shutdown
  end

  test "a worker that dies while its successor boots is not replaced twice", modes: [:ractor] do |mode|
    held = gate
    server = serve(App.new, mode, workers: 1, max_requests: 2, max_requests_jitter: 0, after_worker_boot: HeldBoot.new(held.query))
    assert_equal 1, lives(server, 2)
    held.await
    logged do
      Client.open(server.port) { |client| assert_equal 500, client.get("/die").status }
      eventually("its death is known") { server.stats.values_at(:respawns, :alive) == [1, 1] }
    end
    held.open
    assert_healthy(server)
    assert_equal 0, server.stats[:recycled]
  end

  test "a stop during a replacement is clean", modes: [:ractor] do |mode|
    5.times do |n|
      server = serve(App.new, mode, workers: 2, max_requests: 1, max_requests_jitter: 0)
      result = Load.new(server.port, connections: 3, requests: 10 + n).run
      assert_equal [{ 200 => 10 + n }, []], [result.statuses, result.errors]
      assert server.shutdown
    end
  end

  test "in mode threaded, the log says why no Thread is replaced", modes: [:threaded] do |mode|
    log = logged do
      server = serve(App.new, mode, workers: 1, max_requests: 1, max_requests_jitter: 0)
      Client.open(server.port) { |client| 10.times { assert_equal 200, client.get("/").status } }
      assert_equal 0, server.stats[:recycled]
    end
    assert_match(/max_requests 1 has no effect in mode threaded: .*; with several processes/, log)
  end
end
