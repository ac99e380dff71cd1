# frozen_string_literal: true

require "json"

require_relative "support/server_test"
require_relative "support/websocket_client"

# Workers that are stuck in a request: others take their place, and they end when they return.
class QuarantineTest < ServerTest
  class App < Apps::Basic
    # As #hold, but computes meanwhile.
    def spin(env)
      Gate.arrive(env["QUERY_STRING"])
      pass = IO.for_fd(env["QUERY_STRING"][/pass=(\d+)/, 1].to_i, "r", autoclose: false)
      nil until IO.select([pass], nil, nil, 0)
      Apps.text("spun")
    end

    def die(_env)
      raise NoMemoryError, "as intended"
    end

    def socket(env)
      env["rack.upgrade"] = Holds
      [200, {}, []]
    end

    # The body is what takes long.
    def stream(env)
      query = env["QUERY_STRING"]
      [200, {}, Enumerator.new { |out| out << "begun "; Gate.enter(query); out << "done" }]
    end
  end

  module Holds
    def self.on_message(client, data)
      Gate.enter(data)
      client.write("held")
    end
  end

  def serve_strictly(mode, quarantine_timeout: 0.5, **rest)
    serve(App.new, mode, quarantine_timeout: quarantine_timeout, control_bind: "127.0.0.1:0", **rest)
  end

  def ask(server, path)
    Client.open(Integer(server.control_urls.first[/\d+\z/])) { |client| client.get(path, headers: { "Host" => "localhost" }) }
  end

  def ask_json(server, path) = JSON.parse(ask(server, path).body, symbolize_names: true)

  # A client of a handler that holds its worker.
  def stick(server, gate, path = "hold", count: 1)
    clients = Array.new(count) { Client.new(server.port).send_request("GET", "/#{path}?#{gate.query}") }
    gate.await(count)
    (@clients ||= []).concat(clients)
    clients
  end

  def teardown
    @clients&.each(&:close)
    super
  end

  def aside(server, count)
    eventually("#{count} put aside") { server.stats[:quarantined] == count }
  end

  covers :quarantine_timeout, :quarantined, :quarantines
  test "another worker takes the place of one that is stuck, which ends when it returns" do |mode|
    held = gate
    ends = Thread::Queue.new
    server = nil
    log = logged(/worker 0, which was put aside, has returned and ended/) do
      server = serve_strictly(mode, workers: 1, quarantine_timeout: 0.5, on_worker_exit: ->(*all) { ends << all })
      client, = stick(server, held)
      aside(server, 1)
      assert_healthy_beside(server)
      status = server.stats[:worker_status]
      assert_equal [true], status.select { |worker| worker[:quarantined] }.map { |worker| worker[:index].zero? && worker[:in_flight] == 1 }
      eventually("the other worker is counted") { server.stats.values_at(:alive, :quarantined, :quarantines, :respawns) == [1, 1, 1, 0] }
      shown = ask_json(server, "/workers")[:workers].find { |worker| worker[:quarantined] }
      assert_equal ["GET", "/hold"], shown[:request].values_at(:method, :path)
      assert_match(/^kino_workers_quarantined 1$/, ask(server, "/metrics").body)
      assert_equal 1, ask_json(server, "/stats")[:quarantined]
      held.open
      assert_equal "held", client.read_response.body
      aside(server, 0)
      assert_equal [0, nil], ends.pop
      assert_healthy(server)
      assert_equal [0, 1, 0], server.stats.values_at(:quarantined, :quarantines, :respawns)
    end
    assert_equal 1, log.scan(%r{worker 0 has had GET /hold for \d+\.\d s, longer than quarantine_timeout \(0\.5 s\), so it is put aside}).size, log
    assert_match(/worker 0 is at:\n.*gate\.rb:\d+/, log) if mode == :threaded
    refute_match(/ended \(/, log)
  end

  def assert_healthy_beside(server)
    Client.open(server.port) { |client| 5.times { assert_equal 200, client.get("/").status } }
  end

  test "without quarantine_timeout a worker may take any time", modes: [:threaded] do |mode|
    held = gate
    server = serve_strictly(mode, workers: 2, quarantine_timeout: nil)
    client, = stick(server, held)
    assert_healthy_beside(server)
    assert_equal [0, 0], server.stats.values_at(:quarantined, :quarantines)
    held.open
    assert_equal "held", client.read_response.body
  end

  test "a worker that computes without end keeps no permit and no place" do |mode|
    held = gate
    server = serve_strictly(mode, workers: 1, concurrency: 1, quarantine_max: 2)
    logged do
      first, = stick(server, held, "spin")
      aside(server, 1)
      second, = stick(server, held, "spin")
      aside(server, 2)
      assert_healthy_beside(server)
      held.open
      assert_equal %w[spun spun], [first, second].map { |client| client.read_response.body }
      aside(server, 0)
      assert_healthy(server)
    end
  end

  covers :quarantine_max
  test "no more than quarantine_max workers are put aside, and the server says when none is left" do |mode|
    held = gate
    server = nil
    clients = nil
    log = logged do
      server = serve_strictly(mode, workers: 2, quarantine_max: 1)
      clients = stick(server, held, count: 2)
      aside(server, 1)
      assert_healthy_beside(server)
      assert_equal [200, "ready\n"], ask(server, "/ready").then { |ready| [ready.status, ready.body] }
      clients += stick(server, held)
      eventually("no worker is left") { ask(server, "/ready").then { |ready| [ready.status, ready.body] } == [503, "stuck\n"] }
      eventually("two are counted") { server.stats.values_at(:alive, :quarantined) == [2, 1] }
      held.open
      assert_equal ["held"] * 3, clients.map { |client| client.read_response.body }
      eventually("it is ready again") { ask(server, "/ready").status == 200 }
      aside(server, 0)
      assert_healthy(server)
    end
    assert_equal 1, log.scan(/but quarantine_max \(1\) is reached/).size, log
    assert_equal 1, Kino::Server.new(App.new.freeze, mode: mode, workers: 2).settings[:quarantine_max]
    assert_equal 16, Kino::Server.new(App.new.freeze, mode: mode, workers: 64, threads: 1).settings[:quarantine_max]
  end

  test "a stuck Thread of a Ractor does not keep its siblings from serving", modes: [:ractor] do |mode|
    held = gate
    logged do
      server = serve_strictly(mode, workers: 1, threads: 3, quarantine_max: 3)
      clients = stick(server, held, count: 3)
      aside(server, 3)
      assert_healthy_beside(server)
      held.open
      assert_equal ["held"] * 3, clients.map { |client| client.read_response.body }
      aside(server, 0)
      assert_healthy(server)
    end
  end

  test "a worker that is stuck in the body of a response, or in an event of a WebSocket, is put aside, too" do |mode|
    held = gate
    log = logged do
      server = serve(App.new, mode, workers: 1, quarantine_timeout: 0.5, quarantine_max: 2, lint: false)
      body, = stick(server, held, "stream")
      aside(server, 1)
      socket = WebSocketClient.new(server.port, "/socket")
      (@clients ||= []) << socket
      socket.send_frame(WebSocketClient::TEXT, held.query)
      held.await
      aside(server, 2)
      assert_healthy_beside(server)
      held.open
      assert_equal "begun done", body.read_response.body
      assert_equal "held", socket.read_frame.data
      aside(server, 0)
      assert_healthy(server)
    end
    assert_match(%r{has had GET /stream for}, log)
    assert_match(/has had an event of a WebSocket for/, log)
  end

  test "a server with stuck workers stops" do |mode|
    held = gate
    logged do
      server = serve_strictly(mode, workers: 1, quarantine_max: 2)
      client, = stick(server, held)
      aside(server, 1)
      refute server.shutdown(timeout: 0)
      assert_equal 500, client.read_response.status
      held.open
      eventually("it returns and ends, as all before it") { Ractor.count == 1 }
    end
  end

  # What a thread of the server and one of a worker report waits in a queue meanwhile.
  test "a worker that is put aside and returns while the supervisor is busy has not died", modes: [:threaded] do |mode|
    held = gate
    ends = Thread::Queue.new
    go_on = Thread::Queue.new
    log = logged(/which was put aside, has returned and ended/, times: 6) do
      server = serve_strictly(mode, workers: 1, on_worker_exit: ->(*all) { ends << all && go_on.pop })
      3.times do |past|
        client, = stick(server, held)
        aside(server, 1)
        assert_healthy_beside(server)
        held.pass
        assert_equal "held", client.read_response.body
        ends.pop # The supervisor is busy now.
        client, = stick(server, held)
        eventually("the second one is put aside") { server.stats[:quarantines] == 2 * past + 2 }
        held.pass
        assert_equal "held", client.read_response.body
        aside(server, 0)
        go_on << true << true
        ends.pop
        assert_healthy_beside(server)
      end
      eventually("the last one is counted") { server.stats.values_at(:quarantined, :quarantines, :respawns, :alive) == [0, 6, 0, 1] }
    end
    assert_equal 6, log.scan(/which was put aside, has returned and ended/).size, log
    refute_match(/ended \(/, log)
  ensure
    go_on&.close
  end

  # Requests that echo their number, and others that stick to their worker or end it, in random order, while workers are also
  # replaced after max_requests.
  test "whatever happens to workers, every request is answered once and the number of workers is right" do |mode|
    seed = Integer(ENV.fetch("SEED", Random.new_seed % 10_000))
    random = Random.new(seed)
    held = gate
    stuck = []
    number = 0
    logged do
      server = serve_strictly(mode, workers: 3, quarantine_timeout: 0.1, quarantine_max: 4, max_requests: 8, queue_timeout: 60)
      keeper = Client.new(server.port)
      150.times do
        case random.rand(20)
        when 0, 1 then stuck.concat(stick(server, held)) if stuck.size < 4
        when 2, 3
          Client.open(server.port) { |client| assert_equal 500, client.get("/die").status, "SEED=#{seed}" }
        when 4
          next if stuck.empty?

          held.pass # One of them returns.
          ready, = IO.select(stuck.map(&:socket), nil, nil, 20)
          client = stuck.delete(stuck.find { |one| ready.include?(one.socket) })
          assert_equal "held", client.read_response.body, "SEED=#{seed}"
        when 5 then aside(server, stuck.size)
        else
          number += 1
          keeper.send_request("POST", "/echo", body: number.to_s)
          assert_equal number.to_s, keeper.read_response.body, "SEED=#{seed}"
        end
      end
      held.open
      stuck.each { |client| assert_equal "held", client.read_response.body, "SEED=#{seed}" }
      keeper.close
      eventually("only its workers are left, SEED=#{seed}") do
        stats = server.stats
        [stats[:quarantined], stats[:alive], stats[:worker_status].count { |worker| worker[:occupied] }] == [0, 3, 3]
      end
      assert_healthy(server)
      assert server.shutdown
    end
  end
end
