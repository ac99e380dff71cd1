# frozen_string_literal: true

require "open3"

require_relative "support/bodies"
require_relative "support/tls"

# rack.hijack: an app that takes its connection, and speaks whatever it likes on it.
class HijackTest < ServerTest
  ASK = { "Connection" => "Upgrade", "Upgrade" => "line-echo" }.freeze
  SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: line-echo\r\nConnection: Upgrade\r\n\r\n"

  class App < Bodies::Routes
    # Echoes lines in capitals, in a thread of its own; what the app returns is no response.
    def echo(env)
      io = env["rack.hijack"].call
      Thread.new { converse(io) }
      [200, { "content-type" => "text/plain" }, ["not sent"]]
    end

    # As Action Cable answers.
    def minus_one(env)
      echo(env)
      [-1, {}, []]
    end

    # With a body that is not an Array, which is closed all the same, and a callback.
    def body(env)
      query = env["QUERY_STRING"]
      env["rack.response_finished"] << proc { |_env, status, _headers, error| Gate.arrive(query) if status == 200 && error.nil? }
      echo(env)
      [200, { "content-type" => "text/plain" }, Bodies::Pieces.new(["not sent"], query)]
    end

    def raises(env)
      echo(env)
      raise "too late"
    end

    def kind(env)
      first = env["rack.hijack"].call
      same = first.equal?(env["rack.hijack"].call) && first.equal?(env["rack.hijack_io"])
      first.write("#{first.class} #{first.is_a?(IO)} #{same} #{first.close_on_exec?}\n")
      first.close
      [200, {}, []]
    end

    # The error that other Threads than the one of the handler get.
    def from_thread(env)
      Apps.text(Thread.new { env["rack.hijack"].call rescue "#{$!.class}: #{$!.message}" }.value)
    end

    def keys(env)
      Apps.text(env.keys.grep(/hijack/).sort.join(" "))
    end

    def refused(env)
      env["rack.hijack"].call
    rescue StandardError => e
      Apps.text("#{e.class}: #{e.message}")
    end

    # Rack 2's way to stream.
    def partial(_env)
      [200, { "content-type" => "text/plain", "rack.hijack" => proc { |stream| stream.write("streamed"); stream.close } }, ["not sent"]]
    end

    def bodiless(env)
      status, headers, = partial(env)
      [status, headers, nil]
    end

    private

    def converse(io)
      io.write(SWITCHED)
      while (line = io.gets)
        io.write(line.upcase)
      end
      io.write("BYE\n")
      io.close
    end
  end

  def hijacked(server, path = "/echo", **rest)
    Client.open(server.port, **rest) do |client|
      client.send_request("GET", path, headers: ASK)
      assert_equal 101, client.read_head.status
      yield client
    end
  end

  def assert_echoes(client, text = "hello")
    client.send_raw("#{text}\n")
    assert_equal "#{text.upcase}\n", client.read_exactly(text.bytesize + 1)
  end

  test "an app speaks its own protocol on the connection, and its worker is free" do |mode|
    server = serve(App.new, mode, workers: 1)
    hijacked(server) do |client|
      assert_echoes(client)
      Client.open(server.port) { |other| assert_equal "hello", other.get("/").body }
      assert_echoes(client, "more")
      client.socket.close_write
      assert_equal "BYE\n", client.read_to_end
    end
    assert_healthy(server)
  end

  test "a status of -1 after a hijack is no error" do |mode|
    server = serve(App.new, mode, workers: 1, lint: false)
    log = logged do
      hijacked(server, "/minus-one") do |client|
        assert_echoes(client)
        assert_healthy(server)
      end
    end
    assert_empty log
    assert_equal 2, server.stats[:served]
  end

  test "the IO is the connection's socket, or a UNIXSocket if bytes behind the request have been read" do |mode|
    server = serve(App.new, mode)
    Client.open(server.port) do |client|
      client.send_request("GET", "/kind", headers: ASK)
      assert_equal "TCPSocket true true true\n", client.read_to_end
    end
    Client.open(server.port) do |client|
      client.send_raw("GET /kind HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nmore")
      assert_equal "UNIXSocket true true true\n", client.read_to_end
    end
    # Without Upgrade, the next request may have been read.
    Client.open(server.port) do |client|
      client.send_request("GET", "/kind")
      assert_equal "UNIXSocket true true true\n", client.read_to_end
    end
  end

  test "bytes that came with the request are not lost, and pipelined requests before it are answered" do |mode|
    server = serve(App.new, mode)
    Client.open(server.port) do |client|
      client.send_raw("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /echo HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nearly\n")
      assert_equal "hello", client.read_response.body
      assert_equal 101, client.read_head.status
      assert_equal "EARLY\n", client.read_exactly(6)
      assert_echoes(client, "x" * 500_000)
    end
  end

  test "a body of another kind is closed, and callbacks run" do |mode|
    server = serve(App.new, mode, workers: 1)
    done = gate
    hijacked(server, "/body?#{done.query}") do |client|
      assert_echoes(client)
      done.await(2)
    end
    assert_healthy(server)
  end

  test "an error after a hijack is logged and not sent" do |mode|
    server = serve(App.new, mode, workers: 1)
    log = logged do
      hijacked(server, "/raises") do |client|
        assert_echoes(client)
        assert_healthy(server)
      end
    end
    assert_match(/too late/, log)
  end

  test "a thread without a request is told so" do |mode|
    server = serve(App.new, mode)
    Client.open(server.port) do |client|
      assert_match(/RuntimeError: kino: rack.hijack has to be called by the thread that handles the request/, client.get("/from-thread").body)
    end
  end

  test "a streamed request body cannot be left behind" do |mode|
    server = serve(App.new, mode, stream_body: ["/refused"])
    Client.open(server.port) do |client|
      assert_match(/ArgumentError: kino: the connection cannot be taken over: the request's body is streamed/,
                   client.request("POST", "/refused", body: "x").body)
      assert_equal "rack.hijack rack.hijack?", client.get("/keys").body
    end
  end

  test "HTTP/2 has no rack.hijack" do |mode|
    server = serve(App.new, mode)
    out, = Open3.capture2("curl", "-s", "--http2-prior-knowledge", "http://127.0.0.1:#{server.port}/keys")
    assert_equal "rack.hijack?", out
  rescue Errno::ENOENT
    skip "curl is not installed"
  end

  test "a partial hijack is a callable body" do |mode|
    server = serve(App.new, mode)
    Client.open(server.port) do |client|
      2.times { assert_equal "streamed", client.get("/partial").body }
    end
  end

  # Rack::Lint refuses it; others, such as rack-conform, rely on it.
  test "a partial hijack needs no body" do |mode|
    server = serve(App.new, mode, lint: false)
    log = logged do
      Client.open(server.port) do |client|
        2.times { assert_equal "streamed", client.get("/bodiless").body }
        assert_equal [200, ""], client.request("HEAD", "/bodiless").then { |response| [response.status, response.body.to_s] }
      end
    end
    assert_empty log
  end

  test "a server that stops forgets the sockets it gave away, and ends the others" do |mode|
    server = serve(App.new, mode)
    hijacked(server) do |own|
      Client.open(server.port) do |relayed|
        relayed.send_request("GET", "/echo")
        assert_equal 101, relayed.read_head.status
        assert server.shutdown(timeout: 20)
        assert_equal "BYE\n", relayed.read_to_end
      end
      # Threads of an app live on, and their sockets with them, as long as their Ractor does.
      assert_echoes(own) if mode == :threaded
    end
  end
end

# Likewise, with TLS.
class HijackTLSTest < TLSServerTest
  test "the connection is relayed" do |mode|
    server = serve_tls(HijackTest::App.new, mode)
    TLSClient.open(server.port) do |client|
      client.send_request("GET", "/echo", headers: HijackTest::ASK)
      assert_equal 101, client.read_head.status
      client.send_raw("over tls\n")
      assert_equal "OVER TLS\n", client.read_exactly(9)
    end
  end
end
