# frozen_string_literal: true

require_relative "support/server_test"

# The life of a connection: keep-alive, pipelining, HTTP/1.0, limits and deadlines.
class ConnectionTest < ServerTest
  # Responds with the path, if there is a gate in the query only after it.
  class Numbers < Apps::Router
    def call(env)
      Gate.enter(env["QUERY_STRING"]) if env["QUERY_STRING"].include?("pass=")
      Apps.text(env["PATH_INFO"])
    end
  end

  test "a connection serves many requests" do |mode|
    server = serve(Apps::Basic.new, mode)
    Client.open(server.port) do |client|
      50.times do
        response = client.get("/")
        assert_equal [200, "hello"], [response.status, response.body]
        refute response.closes?
      end
    end
    eventually("fifty served") { server.stats[:served] == 50 }
  end

  test "pipelined requests are answered in order" do |mode|
    server = serve(Numbers.new, mode, workers: 4)
    Client.open(server.port) do |client|
      client.send_raw((1..100).map { |n| "GET /#{n} HTTP/1.1\r\nHost: x\r\n\r\n" }.join)
      (1..100).each { |n| assert_equal "/#{n}", client.read_response.body }
    end
  end

  test "a pipelined request is handled only after the response to the previous one, even to a POST" do |mode|
    server = serve(Numbers.new, mode, workers: 2)
    slow = gate
    quick = gate
    Client.open(server.port) do |client|
      client.send_raw("POST /slow?#{slow.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" \
                      "POST /quick?#{quick.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
      slow.await
      Client.open(server.port) { |other| assert_equal "/other", other.get("/other").body }
      # The worker of the other request is in flight for a moment after its client has the response.
      eventually("the second request waits although a worker is free") { server.stats.values_at(:in_flight, :queued) == [1, 0] }
      slow.pass
      assert_equal "/slow", client.read_response.body
      quick.await
      quick.pass
      assert_equal "/quick", client.read_response.body
    end
  end

  test "a request that arrives byte by byte is served" do |mode|
    server = serve(Apps::Basic.new, mode)
    Client.open(server.port) do |client|
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde".each_char { |char| client.send_raw(char) }
      assert_equal "abcde", client.read_response.body
    end
  end

  test "Connection: close closes the connection and is repeated in the response" do |mode|
    server = serve(Apps::Basic.new, mode)
    Client.open(server.port) do |client|
      response = client.get("/", headers: { "Connection" => "close" })
      assert_equal 200, response.status
      assert response.closes?
      assert client.closed_by_server?
    end
  end

  test "close is found anywhere in the list of connection options" do |mode|
    server = serve(Apps::Basic.new, mode)
    ["close\t", "x,\tclose\t,y", ", CLOSE", "keep-alive, close"].each do |options|
      Client.open(server.port) do |client|
        client.send_raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: #{options}\r\n\r\n")
        assert client.read_response.closes?, options.inspect
        assert client.closed_by_server?, options.inspect
      end
    end
  end

  test "an HTTP 1.0 connection closes unless its client asks for keep-alive" do |mode|
    server = serve(Apps::Basic.new, mode)
    Client.open(server.port) do |client|
      response = client.get("/", version: "HTTP/1.0")
      assert_equal "hello", response.body
      assert client.closed_by_server?
    end
    Client.open(server.port) do |client|
      2.times do
        response = client.get("/", version: "HTTP/1.0", headers: { "Connection" => "keep-alive" })
        assert_equal "hello", response.body
        assert_match(/keep-alive/i, response["connection"].to_s)
      end
    end
  end

  covers :max_keep_alive
  test "a connection serves no more than max_keep_alive requests" do |mode|
    server = serve(Apps::Basic.new, mode, max_keep_alive: 3)
    Client.open(server.port) do |client|
      assert_equal [false, false, true], Array.new(3) { client.get("/").closes? }
      assert client.closed_by_server?
    end
  end

  covers :keep_alive_timeout
  test "an idle connection is closed" do |mode|
    # The other deadline is far away, so it is not the one that expires.
    server = serve(Apps::Basic.new, mode, keep_alive_timeout: 0.2, header_timeout: 3600)
    Client.open(server.port) do |client|
      assert_equal 200, client.get("/").status
      assert client.closed_by_server?
    end
  end

  covers :header_timeout
  test "request headers that do not arrive in time get 408" do |mode|
    patient = serve(Apps::Basic.new, mode, header_timeout: 3600)
    server = serve(Apps::Basic.new, mode, header_timeout: 1)
    Client.open(patient.port) do |older|
      assert_equal 200, older.get("/").status
      older.send_raw("GET / HTTP/1.1\r\nHost:")
      Client.open(server.port) do |client|
        client.send_raw("GET / HTTP/1.1\r\nHost:")
        response = client.read_response
        assert_equal 408, response.status
        assert response.closes?
        assert client.closed_by_server?
      end
      assert_equal 200, older.send_raw("x\r\n\r\n").read_response.status
    end
    assert_healthy(server)
  end

  test "clients that send headers slowly occupy no worker" do |mode|
    server = serve(Apps::Basic.new, mode, workers: 1)
    slow = Array.new(20) { Client.new(server.port).send_raw("GET / HTTP/1.1\r\nX:") }
    Client.open(server.port) { |client| assert_equal 200, client.get("/").status }
    slow.each { |client| client.send_raw(" y\r\nHost: x\r\n\r\n") }
    slow.each { |client| assert_equal 200, client.read_response.status }
  ensure
    slow&.each(&:close)
  end

  test "a Unix socket is served, and its file removed at the end" do |mode|
    Dir.mktmpdir("kino") do |directory|
      path = File.join(directory, "kino.sock")
      server = serve(Apps::Basic.new, mode, bind: "unix://#{path}")
      assert_equal "unix://#{path}", server.url
      Client.open(path) { |client| 3.times { assert_equal 200, client.get("/").status } }
      server.shutdown
      refute File.exist?(path), "the socket file is removed"
    end
  end

  test "a stale Unix socket is replaced, and one in use refused" do |mode|
    Dir.mktmpdir("kino") do |directory|
      path = File.join(directory, "kino.sock")
      UNIXServer.new(path).close
      serve(Apps::Basic.new, mode, bind: "unix://#{path}")
      error = assert_raises(Kino::BindError) { serve(Apps::Basic.new, mode, bind: "unix://#{path}") }
      assert_match(/pid #{Process.pid}/, error.message)
      Client.open(path) { |client| assert_equal 200, client.get("/").status }
      File.write(File.join(directory, "file"), "")
      error = assert_raises(Kino::BindError) { serve(Apps::Basic.new, mode, bind: "unix://#{directory}/file") }
      assert_match(/the file exists and is not a socket/, error.message)
    end
  end

  test "a Unix socket at which too many clients wait is in use", modes: [:threaded] do |mode|
    Dir.mktmpdir("kino") do |directory|
      path = File.join(directory, "kino.sock")
      stuck = UNIXServer.new(path).tap { |socket| socket.listen(0) }
      waiting = []
      begin
        loop { (waiting << Socket.new(:UNIX, :STREAM)).last.connect_nonblock(Socket.sockaddr_un(path)) }
      rescue Errno::EAGAIN
        nil # a client that waited for room would wait for ever
      end
      error = assert_raises(Kino::BindError) { serve(Apps::Basic.new, mode, bind: "unix://#{path}") }
      assert_match(/pid #{Process.pid}/, error.message)
    ensure
      [stuck, *waiting].compact.each(&:close)
    end
  end

  covers :bind
  test "every address of bind is served" do |mode|
    server = serve(Apps::Basic.new, mode, bind: ["127.0.0.1:0", "127.0.0.1:0"])
    ports = server.addresses.map(&:port)
    assert_equal 2, ports.uniq.size
    ports.each { |port| Client.open(port) { |client| assert_equal 200, client.get("/").status } }
  end

  test "an IPv6 address is served" do |mode|
    skip "this machine has no IPv6 loopback address" unless Socket.ip_address_list.any?(&:ipv6_loopback?)
    server = serve(Apps::Basic.new, mode, bind: "[::1]")
    assert_equal "http://[::1]:#{server.port}", server.url
    Client.open(server.port, "::1") { |client| assert_match(/^REMOTE_ADDR=::1$/, client.get("/env").body) }
  end

  covers :max_connections, :connections
  test "connections beyond max_connections wait until others close, which are served meanwhile" do |mode|
    server = serve(Apps::Basic.new, mode, max_connections: 4)
    held = Array.new(4) { Client.new(server.port).tap { |client| client.get("/") } }
    extra = Client.new(server.port)
    extra.send_request("GET", "/")
    assert_equal 200, held.first.get("/").status
    assert_equal 4, server.stats[:connections]
    held.each(&:close)
    assert_equal 200, extra.read_response.status
    eventually("only the last one is open") { server.stats[:connections] == 1 }
    extra.close
    assert_healthy(server)
  ensure
    held&.each(&:close)
    extra&.close
  end
end
