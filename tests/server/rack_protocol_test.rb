# frozen_string_literal: true

require_relative "support/server_test"

# rack.protocol: a response with status 101 whose body has the connection, both ways.
class RackProtocolTest < ServerTest
  ASK = { "Connection" => "Upgrade", "Upgrade" => "other, shout/2" }.freeze

  class App < Apps::Basic
    def offers(env)
      Apps.text(env["rack.protocol"].inspect)
    end

    # Sends back in capitals what arrives, until the client ends or says "bye".
    def shout(env)
      switch(env) do |stream|
        loop do
          piece = stream.readpartial(1000)
          stream.write(piece.upcase)
          break if piece.include?("bye")
        end
      rescue EOFError
        stream.write("the end")
      end
    end

    # By lines of a known length.
    def exact(env)
      switch(env) do |stream|
        while (piece = stream.read(4))
          stream << piece.reverse
          stream.flush
        end
        stream.write("nothing more: #{stream.read.inspect} #{stream.read(1).inspect} #{stream.closed?}")
        stream.close_write
      end
    end

    # Ends its own direction first.
    def half(env)
      query = env["QUERY_STRING"]
      switch(env) do |stream|
        stream.write("first")
        stream.close_write
        got = stream.read
        IO.for_fd(query.to_i, autoclose: false).syswrite("#{got}\n")
      end
    end

    def raises(env)
      switch(env) do |stream|
        stream.write("some")
        raise "the conversation broke"
      end
    end

    # Of the request, before the switch.
    def body(env)
      text = env["rack.input"].read
      switch(env) { |stream| stream.write("#{text} #{stream.read(3)}") }
    end

    def whole(_env)
      [101, { "rack.protocol" => "shout/2", "connection" => "upgrade", "upgrade" => "shout/2" }, ["all at once"]]
    end

    def impossible(_env)
      [101, { "rack.protocol" => "shout/2" }, proc {}]
    end

    def nameless(_env)
      [101, {}, proc {}]
    end

    def wrong(_env)
      [101, { "rack.protocol" => "two words\r\n" }, proc {}]
    end

    private

    def switch(env, &body)
      env["rack.protocol"].include?("shout/2") or raise "not offered"
      [101, { "rack.protocol" => "shout/2", "x-more" => "1" }, body]
    end
  end

  def switched(server, path, **rest)
    Client.open(server.port) do |client|
      client.send_request(rest[:body] ? "POST" : "GET", path, headers: ASK, **rest)
      head = client.read_head
      assert_equal [101, "shout/2", "upgrade", "1", nil], [head.status, *%w[upgrade connection x-more content-length].map { |name| head[name] }]
      yield client
    end
  end

  def assert_says(expected, client)
    assert_equal expected, client.read_exactly(expected.bytesize)
  end

  test "the env lists what the client offers" do |mode|
    server = serve(App.new, mode)
    Client.open(server.port) do |client|
      assert_equal '["other", "shout/2"]', client.get("/offers", headers: ASK).body
      assert_equal '["a", "b", "c"]', client.get("/offers", headers: { "Connection" => "upgrade", "Upgrade" => ["a, b", "c"] }).body
      assert_equal "nil", client.get("/offers").body
      assert_equal "nil", client.get("/offers", headers: { "Upgrade" => "a" }).body, "it has to ask in Connection, too"
    end
  end

  # Rack::Lint's streams have no readpartial.
  test "a body has the connection both ways, and its worker" do |mode|
    server = serve(App.new, mode, workers: 1, lint: false)
    switched(server, "/shout") do |client|
      client.send_raw("hello")
      assert_says("HELLO", client)
      assert_equal 1, server.stats[:in_flight]
      text = "some more of it " * 50_000
      sender = Thread.new { client.send_raw(text) }
      assert_says(text.upcase, client)
      sender.join
      client.send_raw("bye")
      assert_says("BYE", client)
      assert client.closed_by_server?
    end
    switched(server, "/shout") do |client|
      client.socket.close_write
      assert_equal "the end", client.read_to_end
    end
    assert_healthy(server)
  end

  test "reads of a length wait for it, and return less at the end only" do |mode|
    server = serve(App.new, mode)
    switched(server, "/exact") do |client|
      client.send_raw("ab")
      client.send_raw("cdef")
      assert_says("dcba", client)
      client.socket.close_write
      assert_equal "fenothing more: \"\" nil false", client.read_to_end
    end
  end

  test "either side may end its direction first" do |mode|
    server = serve(App.new, mode, workers: 1)
    reader, writer = IO.pipe
    switched(server, "/half?#{writer.fileno}") do |client|
      assert_equal "first", client.read_to_end
      client.send_raw("still read")
      client.socket.close_write
      assert_equal "still read\n", reader.gets
    end
    assert_healthy(server)
  ensure
    [reader, writer].each { |io| io&.close }
  end

  test "a body that raises cuts the connection, and is logged" do |mode|
    server = serve(App.new, mode, workers: 1)
    log = logged do
      switched(server, "/raises") do |client|
        client.read_to_end
      rescue Errno::ECONNRESET
        nil
      end
      assert_healthy(server)
    end
    assert_match(/the conversation broke/, log)
  end

  test "a client that leaves is no error of the app" do |mode|
    server = serve(App.new, mode, workers: 1, lint: false)
    log = logged do
      switched(server, "/shout") do |client|
        client.socket.setsockopt(Socket::Option.linger(true, 0))
      end
      assert_healthy(server)
    end
    assert_empty log
  end

  test "a request's body comes before, and what is behind it belongs to the stream" do |mode|
    server = serve(App.new, mode)
    switched(server, "/body", body: "body") do |client|
      client.send_raw("abc")
      assert_equal "body abc", client.read_to_end
    end
    Client.open(server.port) do |client|
      client.send_raw("POST /body HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: shout/2\r\nContent-Length: 1\r\n\r\nBxyz")
      client.read_head
      assert_equal "B xyz", client.read_to_end
    end
  end

  test "a body of Strings is sent as it is" do |mode|
    server = serve(App.new, mode)
    Client.open(server.port) do |client|
      client.send_request("GET", "/whole", headers: ASK)
      head = client.read_head
      assert_equal [101, ["shout/2"], ["upgrade"]], [head.status, head.all("upgrade"), head.all("connection")]
      assert_equal "all at once", client.read_to_end
    end
  end

  test "a status of 101 is refused where there is nothing to switch to" do |mode|
    server = serve(App.new, mode, lint: false)
    Client.open(server.port) do |client|
      [["/impossible", {}, /ask for an upgrade/], ["/nameless", ASK, /or the header rack\.protocol/], ["/wrong", ASK, /not the name of a protocol/]].each do |path, headers, said|
        log = logged { assert_equal 500, client.get(path, headers: headers).status, path }
        assert_match(said, log)
      end
      log = logged { assert_equal 500, client.request("HEAD", "/impossible", headers: ASK).status }
      assert_match(/HEAD request/, log)
    end
  end

  test "a conversation ends when the server stops" do |mode|
    server = serve(App.new, mode, lint: false)
    switched(server, "/shout") do |client|
      client.send_raw("hello")
      assert_says("HELLO", client)
      assert server.shutdown(timeout: 20)
      assert_equal "the end", client.read_to_end
    end
  end
end
