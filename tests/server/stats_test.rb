# frozen_string_literal: true

require_relative "support/server_test"

# The statistics of a server: a response is counted before its client can have read it.
class StatsTest < ServerTest
  ROUNDS = 100

  # One response of each kind.
  class Responses < Apps::Basic
    def stream(_env)
      [200, { "content-type" => "text/plain" }, %w[a b c].each]
    end

    def sized(_env)
      [200, { "content-type" => "text/plain", "content-length" => "3" }, %w[a b c].each]
    end

    def callable(_env)
      [200, { "content-type" => "text/plain" }, proc { |stream| stream << "abc" }]
    end

    def raising(_env)
      raise "as intended"
    end

    # Aborted after its first chunk.
    def half(_env)
      [200, { "content-type" => "text/plain" }, Enumerator.new { |out| out << "a"; raise "as intended" }]
    end

    # The body is complete, but its handler has not returned.
    def lingering(env)
      query = env["QUERY_STRING"]
      [200, { "content-type" => "text/plain", "content-length" => "1" }, Enumerator.new { |out| out << "a"; Gate.enter(query) }]
    end
  end

  %w[/ /stream /sized /callable /raising].each do |path|
    test "a response to #{path} is counted before its client has read it" do |mode|
      server = serve(Responses.new, mode)
      logged do
        Client.open(server.port) do |client|
          1.upto(ROUNDS) do |n|
            client.get(path)
            stats = server.stats
            assert_equal n, stats[:served]
            assert_equal n, stats[:worker_status].sum { |worker| worker[:served] }
          end
        end
      end
    end
  end

  covers :refused, :served
  test "a rejected request is counted as refused, and not as served, before its client has read the response" do |mode|
    server = serve(Responses.new, mode)
    logged do
      1.upto(ROUNDS) do |n|
        Client.open(server.port) { |client| assert_equal 400, client.send_raw("GET / HTTP/1.1\r\n\r\n").read_response.status }
        assert_equal [n, 0], server.stats.values_at(:refused, :served)
      end
    end
  end

  test "an aborted response is counted once" do |mode|
    server = serve(Responses.new, mode)
    logged do
      Client.open(server.port) { |client| refute client.get("/half").complete }
      eventually("one served") { server.stats[:served] == 1 }
      Client.open(server.port) { |client| client.get("/") }
    end
    assert_equal 2, server.stats[:served]
  end

  covers :workers, :threads
  test "as many handlers run as there are workers times threads, and the next request waits" do |mode|
    server = serve(Responses.new, mode, workers: 2, threads: 3)
    held = gate
    clients = Array.new(7) { Client.new(server.port).send_request("GET", "/hold?#{held.query}") }
    held.await(6)
    eventually("the seventh waits") { server.stats[:queued] == 1 }
    assert_equal [2, 3, 6, 6], server.stats.values_at(:workers, :threads, :alive, :in_flight)
    held.open
    clients.each { |client| assert_equal "held", client.read_response.body }
    assert_equal 7, server.stats[:served]
  ensure
    clients&.each(&:close)
  end

  covers :worker_status, :index, :occupied, :busy_ms
  test "each worker has its status" do |mode|
    server = serve(Responses.new, mode)
    held = gate
    Client.open(server.port) do |client|
      client.send_request("GET", "/hold?#{held.query}")
      held.await
      eventually("one has been busy for a while") { server.stats[:worker_status].sum { |worker| worker[:busy_ms] } > 10 }
      workers = server.stats[:worker_status]
      assert_equal [0, 1], workers.map { |worker| worker[:index] }
      assert_equal [true, true], workers.map { |worker| worker[:occupied] }
      busy, idle = workers.partition { |worker| worker[:in_flight] == 1 }
      assert_equal [[0, 0]], idle.map { |worker| worker.values_at(:in_flight, :busy_ms) }
      held.open
      assert_equal "held", client.read_response.body
      status = server.stats[:worker_status]
      assert_equal [1, 0], [busy, idle].map { |kind| status.find { |one| one[:index] == kind.first[:index] }[:served] }
      eventually("it is idle again") { server.stats[:worker_status].all? { |worker| worker[:busy_ms].zero? } }
    end
  end

  covers :queue_time, :count, :sum_seconds
  test "the time that requests spend in the queue is added up" do |mode|
    server = serve(Responses.new, mode, workers: 1)
    held = gate
    clients = Array.new(3) { Client.new(server.port).send_request("GET", "/hold?#{held.query}") }
    held.await
    eventually("two wait") { server.stats[:queued] == 2 }
    assert_equal 1, server.stats[:queue_time][:count]
    from = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    before = server.stats[:queue_time][:sum_seconds]
    least = 2 * (Process.clock_gettime(Process::CLOCK_MONOTONIC) - from)
    held.open
    clients.each { |client| assert_equal "held", client.read_response.body }
    queue_time = server.stats[:queue_time]
    assert_equal 3, queue_time[:count]
    assert_operator queue_time[:sum_seconds] - before, :>=, least
  ensure
    clients&.each(&:close)
  end

  covers :client_gone
  test "a queued request whose client disconnects is counted as client_gone" do |mode|
    server = serve(Responses.new, mode, workers: 1)
    held = gate
    busy = Client.new(server.port).send_request("GET", "/hold?#{held.query}")
    held.await
    clients = Array.new(5) { Client.new(server.port).send_request("GET", "/") }
    eventually("five wait") { server.stats[:queued] == 5 }
    clients.each(&:reset)
    # When this client has its response, the I/O thread has noticed the disconnected ones.
    logged { Client.open(server.port) { |client| assert_equal 400, client.send_raw("GET / HTTP/1.1\r\n\r\n").read_response.status } }
    held.open
    assert_equal "held", busy.read_response.body
    eventually("all five are counted") { server.stats[:client_gone] == 5 }
    assert_equal [1, 0], server.stats.values_at(:served, :queued)
  ensure
    busy&.close
  end

  test "a request is in flight until its handler has returned, even if its client has the whole response" do |mode|
    server = serve(Responses.new, mode)
    held = gate
    Client.open(server.port) do |client|
      assert_equal "a", client.get("/lingering?#{held.query}").body
      held.await
      assert_equal [1, 1], server.stats.values_at(:served, :in_flight)
      held.open
      eventually("none in flight") { server.stats[:in_flight].zero? }
      assert_equal 1, server.stats[:served]
    end
  end
end
