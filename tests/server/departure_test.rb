# frozen_string_literal: true

require_relative "support/server_test"

# Clients that disconnect in every phase of a request: the counters stay correct, no worker is lost, and the next request
# is served.
class DepartureTest < ServerTest
  # Handlers that wait in different phases of their request.
  class Phases < Apps::Basic
    # More than the kernel buffers for a client that does not read.
    def big(env)
      Gate.arrive(env["QUERY_STRING"])
      Apps.text("x" * (30 << 20))
    end

    def read_more(env)
      Gate.arrive(env["QUERY_STRING"])
      env["rack.input"].read
      Apps.text("read")
    ensure
      Gate.arrive(env["QUERY_STRING"])
    end

    def stream(env)
      query = env["QUERY_STRING"]
      body = Enumerator.new do |out|
        out << "first"
        Gate.enter(query)
        # The client has disconnected, so one of the next writes raises.
        loop { out << ("x" * 65_536) }
      ensure
        Gate.arrive(query)
      end
      [200, { "content-type" => "text/plain" }, body]
    end
  end

  # The block plays a client that disconnects with +way+, a method of Client.
  def self.phase(description, &block)
    %i[reset close].each do |way|
      test "a client may #{way} #{description}" do |mode|
        server = serve(Phases.new, mode, stream_body: ["/read_more"])
        log = logged do
          instance_exec(server, way, &block)
          assert_healthy(server)
        end
        refute_match(/raised|failed while|died/, log, "a client that disconnects is not the app's error")
      end
    end
  end

  phase "before its first byte" do |server, way|
    30.times { Client.new(server.port).public_send(way) }
  end

  phase "within the headers" do |server, way|
    30.times { Client.new(server.port).send_raw("GET / HTTP/1.1\r\nHos").public_send(way) }
  end

  phase "within a short body" do |server, way|
    30.times { Client.new(server.port).send_raw("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab").public_send(way) }
    assert_equal 0, server.stats[:served]
  end

  phase "within a chunk" do |server, way|
    30.times { Client.new(server.port).send_raw("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab").public_send(way) }
    assert_equal 0, server.stats[:served]
  end

  phase "while the app reads its streamed body" do |server, way|
    steps = gate
    client = Client.new(server.port)
    client.send_raw("POST /read_more?#{steps.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n#{"x" * 100_000}")
    steps.await
    client.public_send(way)
    steps.await
  end

  phase "while the server collects its long body" do |server, way|
    30.times { Client.new(server.port).send_raw("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n#{"x" * 100_000}").public_send(way) }
    assert_equal 0, server.stats[:served]
  end

  phase "while its request is queued" do |server, way|
    held = gate
    busy = Array.new(2) { Client.new(server.port).send_request("GET", "/hold?#{held.query}") }
    held.await(2)
    queued = Array.new(10) { Client.new(server.port).send_request("GET", "/hold?#{held.query}") }
    eventually("ten requests queued") { server.stats[:queued] == 10 }
    queued.each(&way)
    held.open
    busy.each { |client| assert_equal "held", client.read_response.body }
    busy.each(&:close)
  end

  phase "while the app runs" do |server, way|
    held = gate
    clients = Array.new(2) { Client.new(server.port).send_request("GET", "/hold?#{held.query}") }
    held.await(2)
    clients.each(&way)
    held.open
  end

  phase "while its response is being written" do |server, way|
    held = gate
    client = Client.new(server.port)
    client.send_request("GET", "/big?#{held.query}")
    held.await
    client.read_exactly(100_000)
    client.public_send(way)
  end

  phase "while its response is being streamed" do |server, way|
    held = gate
    client = Client.new(server.port)
    client.send_request("GET", "/stream?#{held.query}")
    client.read_head
    client.read_chunk
    held.await
    client.public_send(way)
    held.pass
    held.await
  end

  phase "with pipelined requests behind it" do |server, way|
    held = gate
    client = Client.new(server.port)
    client.send_raw("GET /hold?#{held.query} HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
    held.await
    client.public_send(way)
    held.open
  end

  test "a client that has shut down only its sending side gets its response" do |mode|
    server = serve(Phases.new, mode)
    held = gate
    Client.open(server.port) do |client|
      client.send_request("GET", "/hold?#{held.query}")
      client.close_write
      held.await
      held.pass
      assert_equal "held", client.read_response.body
    end
  end
end
