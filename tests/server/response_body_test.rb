# frozen_string_literal: true

require_relative "support/server_test"

# Responses: every kind of body, framing, headers, and bodies that fail.
class ResponseBodyTest < ServerTest
  # An enumerable body that tells when it is closed.
  class Pieces
    def initialize(pieces, query)
      @pieces = pieces
      @query = query
    end

    def each
      @pieces.each { |piece| yield piece == :raise ? raise("the body broke") : piece }
    end

    def close
      Gate.arrive(@query) if @query.include?("arrive=")
    end
  end

  # A body with to_ary, as middleware wraps them: to_ary closes.
  class Proxy < Pieces
    def to_ary
      @pieces
    ensure
      close
    end
  end

  # Bodies of all kinds.
  class Bodies < Apps::Router
    def index(_env)
      Apps.text("hello")
    end

    def array(_env)
      [200, Apps::TEXT.dup, ["a", "", "b", "c"]]
    end

    def empty(_env)
      [200, Apps::TEXT.dup, []]
    end

    def enumerable(env)
      [200, Apps::TEXT.dup, Pieces.new(%w[one two three], env["QUERY_STRING"])]
    end

    def sized(env)
      [200, Apps::TEXT.merge("content-length" => "11"), Pieces.new(%w[one two three], env["QUERY_STRING"])]
    end

    def nothing(env)
      [200, Apps::TEXT.dup, Pieces.new([], env["QUERY_STRING"])]
    end

    def proxy(env)
      [200, Apps::TEXT.dup, Proxy.new(%w[a b], env["QUERY_STRING"])]
    end

    def call_body(_env)
      [200, Apps::TEXT.dup, proc { |stream| stream << "one" << "two"; stream.write("three"); stream.close }]
    end

    def call_unclosed(_env)
      [200, Apps::TEXT.dup, proc { |stream| stream.write("left open") }]
    end

    # Answers each piece as it comes, in both directions at once.
    def duplex(_env)
      body = proc do |stream|
        while (piece = stream.read(4))
          stream.write(piece.upcase)
          stream.flush
        end
        stream.close
      end
      [200, { "content-type" => "application/octet-stream" }, body]
    end

    def step(env)
      query = env["QUERY_STRING"]
      body = Enumerator.new do |out|
        3.times do |n|
          out << "piece #{n}"
          Gate.enter(query)
        end
      end
      [200, Apps::TEXT.dup, body]
    end

    def big(_env)
      [200, { "content-type" => "application/octet-stream" }, ["0123456789abcdef" * (10 << 16)]]
    end

    def big_stream(_env)
      [200, { "content-type" => "application/octet-stream" }, Enumerator.new { |out| 160.times { out << ("0123456789abcdef" * 4096) } }]
    end

    def endless(env)
      query = env["QUERY_STRING"]
      body = Enumerator.new do |out|
        Gate.arrive(query)
        loop { out << ("x" * 65_536) }
      ensure
        Gate.arrive(query)
      end
      [200, { "content-type" => "application/octet-stream" }, body]
    end

    def half(env)
      [200, Apps::TEXT.dup, Pieces.new(["half", :raise], env["QUERY_STRING"])]
    end

    def half_sized(env)
      [200, Apps::TEXT.merge("content-length" => "100"), Pieces.new(["half", :raise], env["QUERY_STRING"])]
    end

    def half_call(_env)
      [200, Apps::TEXT.dup, proc { |stream| stream.write("half"); stream.flush; raise "the body broke" }]
    end

    def raise_first(env)
      [200, Apps::TEXT.dup, Pieces.new([:raise], env["QUERY_STRING"])]
    end

    def raise_first_call(_env)
      [200, Apps::TEXT.dup, proc { |_stream| raise "the body broke" }]
    end

    def headers(_env)
      [200, { "content-type" => "text/plain", "x-many" => %w[a b], "set-cookie" => ["a=1; Path=/", "b=2"], "x-utf8" => "blå" }, ["x"]]
    end

    def own_server(_env)
      Apps.text("x", 200, "server" => "mine", "date" => "Thu, 01 Jan 1970 00:00:00 GMT")
    end

    def no_content(_env)
      [204, {}, []]
    end

    def not_modified(env)
      [304, { "etag" => "\"x\"" }, Pieces.new([], env["QUERY_STRING"])]
    end

    def teapot(_env)
      Apps.text("short and stout", 418)
    end

    def finished(env)
      query = env["QUERY_STRING"]
      env["rack.response_finished"] << proc { |*arguments| IO.for_fd(query[/fd=(\d+)/, 1].to_i, "w", autoclose: false).syswrite("first #{arguments.size} ") }
      env["rack.response_finished"] << proc { |_env, status, _headers, error| IO.for_fd(query[/fd=(\d+)/, 1].to_i, "w", autoclose: false).syswrite("second #{status} #{error.inspect} ") }
      raise "for the callback" if query.include?("raise")

      Apps.text("finished")
    end
  end

  # What Lint would stop before the server sees it.
  class Wrong < Apps::Router
    RESPONSES = Ractor.make_shareable({
      "status_string" => ["oops", {}, []], "status_low" => [99, {}, []], "status_high" => [1000, {}, []],
      "headers_nil" => [200, nil, []], "headers_array" => [200, [], []],
      "splitting" => [200, { "x" => "a\r\nset-cookie: b" }, []], "nul" => [200, { "x" => "a\0b" }, []],
      "name" => [200, { "x y" => "a" }, []], "name_split" => [200, { "x\r\ny" => "a" }, []],
      "body_string" => [200, {}, "text"], "body_nil" => [200, {}, nil], "body_numbers" => [200, {}, [1, 2]],
      "no_array" => 200, "nothing" => nil
    })

    def call(env)
      return Apps.text("hello") if env["PATH_INFO"] == "/"

      RESPONSES.fetch(env["PATH_INFO"].delete_prefix("/"))
    end
  end

  # Header values that are not Strings.
  class Values < Apps::Router
    def call(_env)
      [200, { "x-number" => 42, "x-symbol" => :yes, "x-list" => [1, :two] }, ["hello"]]
    end
  end

  test "arrays" do |mode|
    server = serve(Bodies.new, mode)
    Client.open(server.port) do |client|
      response = client.get("/array")
      assert_equal ["abc", "3", nil], [response.body, response["content-length"], response["transfer-encoding"]]
      response = client.get("/empty")
      assert_equal ["", "0"], [response.body, response["content-length"]]
    end
  end

  test "enumerable bodies are streamed and closed" do |mode|
    server = serve(Bodies.new, mode)
    closed = gate
    Client.open(server.port) do |client|
      response = client.get("/enumerable?#{closed.query}")
      assert_equal %w[onetwothree chunked], [response.body, response["transfer-encoding"]]
      closed.await
      response = client.get("/sized?#{closed.query}")
      assert_equal ["onetwothree", ["11"], nil], [response.body, response.all("content-length"), response["transfer-encoding"]]
      closed.await
      assert_equal "", client.get("/nothing?#{closed.query}").body
      closed.await
      response = client.get("/proxy?#{closed.query}")
      assert_equal %w[ab 2], [response.body, response["content-length"]]
      closed.await
    end
  end

  test "each piece of an enumerable body goes out when it is there" do |mode|
    server = serve(Bodies.new, mode)
    steps = gate
    Client.open(server.port) do |client|
      client.send_request("GET", "/step?#{steps.query}")
      client.read_head
      3.times do |n|
        assert_equal "piece #{n}", client.read_chunk
        steps.await
        steps.pass
      end
      assert_nil client.read_chunk
    end
  end

  test "callable bodies" do |mode|
    server = serve(Bodies.new, mode)
    Client.open(server.port) do |client|
      assert_equal "onetwothree", client.get("/call-body").body
      assert_equal "left open", client.get("/call-unclosed").body
      assert_equal "hello", client.get("/").body
    end
  end

  test "a callable body talks in both directions at once" do |mode|
    server = serve(Bodies.new, mode)
    Client.open(server.port) do |client|
      client.send_raw("POST /duplex HTTP/1.1\r\nHost: x\r\nContent-Length: 80000\r\n\r\n")
      # More than the server buffers before it calls the app; from there on, piece by piece.
      client.send_raw("abcd" * 19_990)
      assert_equal 200, client.read_head.status
      got = +""
      got << client.read_chunk while got.bytesize < 4 * 19_990
      assert_equal "ABCD" * 19_990, got
      10.times do |n|
        client.send_raw("wxy#{n}")
        got = +""
        got << client.read_chunk while got.bytesize < 4
        assert_equal "WXY#{n}", got
      end
      assert_nil client.read_chunk
      assert_equal "hello", client.get("/").body
    end
  end

  test "ten megabytes" do |mode|
    server = serve(Bodies.new, mode)
    expected = "0123456789abcdef" * (10 << 16)
    Client.open(server.port) do |client|
      assert_equal expected.hash, client.get("/big").body.hash
      assert_equal expected.hash, client.get("/big-stream").body.hash
      assert_equal "hello", client.get("/").body
    end
  end

  test "a client that does not read holds a streaming body back" do |mode|
    server = serve(Bodies.new, mode)
    ends = gate
    client = Client.new(server.port)
    client.send_request("GET", "/endless?#{ends.query}")
    ends.await
    # The body never ends by itself: only a write that raises gets its handler out.
    client.read_exactly(1 << 20)
    assert_equal 1, server.stats[:in_flight]
    client.vanish
    ends.await
    assert_healthy(server)
  end

  test "a body that raises half-way breaks the connection off" do |mode|
    server = serve(Bodies.new, mode, workers: 1)
    closed = gate
    log = logged do
      ["/half?#{closed.query}", "/half-sized?#{closed.query}", "/half-call"].each do |path|
        Client.open(server.port) do |client|
          response = client.get(path)
          assert_equal 200, response.status
          refute response.complete, "#{path} looks complete"
        end
      end
      closed.await(2)
      # The same worker serves this, so it has logged what was before.
      assert_healthy(server)
    end
    assert_equal 3, log.scan("the body broke").size
  end

  test "a body that raises at once is a 500 on a connection that stays" do |mode|
    server = serve(Bodies.new, mode)
    closed = gate
    logged do
      Client.open(server.port) do |client|
        assert_equal 500, client.get("/raise-first?#{closed.query}").status
        closed.await
        assert_equal 500, client.get("/raise-first-call").status
        assert_equal "hello", client.get("/").body
      end
    end
  end

  test "headers" do |mode|
    server = serve(Bodies.new, mode)
    Client.open(server.port) do |client|
      response = client.get("/headers")
      assert_equal %w[a b], response.all("x-many")
      assert_equal ["a=1; Path=/", "b=2"], response.all("set-cookie")
      assert_equal "blå", response["x-utf8"].dup.force_encoding("UTF-8")
      assert_equal ["kino"], response.all("server")
      assert_match(/\A(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\z/, response["date"])
      response = client.get("/own-server")
      assert_equal ["mine"], response.all("server")
      assert_equal ["Thu, 01 Jan 1970 00:00:00 GMT"], response.all("date")
      assert_equal 418, client.get("/teapot").status
    end
  end

  test "header values that are no strings" do |mode|
    server = serve(Values.new, mode, lint: false)
    Client.open(server.port) do |client|
      response = client.get("/")
      assert_equal [["42"], ["yes"], %w[1 two]], %w[x-number x-symbol x-list].map { |name| response.all(name) }
    end
  end

  test "HEAD has the head and no body" do |mode|
    server = serve(Bodies.new, mode)
    closed = gate
    Client.open(server.port) do |client|
      response = client.request("HEAD", "/array")
      assert_equal [200, "3"], [response.status, response["content-length"]]
      response = client.request("HEAD", "/sized?#{closed.query}")
      assert_equal [200, "11"], [response.status, response["content-length"]]
      closed.await
      assert_equal 200, client.request("HEAD", "/enumerable?#{closed.query}").status
      closed.await
      assert_equal 200, client.request("HEAD", "/call-body").status
      # Any byte of a body would be taken for this answer.
      assert_equal "hello", client.get("/").body
    end
  end

  test "204 and 304 have no body" do |mode|
    server = serve(Bodies.new, mode)
    closed = gate
    Client.open(server.port) do |client|
      response = client.get("/no-content")
      assert_equal [204, nil, nil], [response.status, response["content-length"], response["transfer-encoding"]]
      response = client.get("/not-modified?#{closed.query}")
      assert_equal [304, nil], [response.status, response["transfer-encoding"]]
      closed.await
      assert_equal "hello", client.get("/").body
    end
  end

  test "HTTP 1.0 gets no chunks" do |mode|
    server = serve(Bodies.new, mode)
    Client.open(server.port) do |client|
      response = client.get("/enumerable?", version: "HTTP/1.0", headers: { "Connection" => "keep-alive" })
      assert_nil response["transfer-encoding"]
      assert_equal "onetwothree", response.body
      assert client.closed_by_server?
    end
  end

  test "rack.response_finished runs in reverse order, after errors too" do |mode|
    server = serve(Bodies.new, mode, lint: false)
    reader, writer = IO.pipe
    Client.open(server.port) do |client|
      assert_equal "finished", client.get("/finished?fd=#{writer.fileno}").body
      assert_equal "second 200 nil first 4 ", reader.readpartial(100).then { |got| got.size < 20 ? got + reader.readpartial(100) : got }
      logged do
        assert_equal 500, client.get("/finished?raise&fd=#{writer.fileno}").status
        got = +""
        got << reader.readpartial(100) until got.include?("first")
        assert_match(/\Asecond  #<RuntimeError: for the callback> first 4 \z/, got)
      end
    end
  ensure
    [reader, writer].each(&:close)
  end

  test "responses that are wrong become 500" do |mode|
    server = serve(Wrong.new, mode, lint: false)
    logged do
      Wrong::RESPONSES.each_key do |name|
        Client.open(server.port) do |client|
          response = client.get("/#{name}")
          assert_equal 500, response.status, name
          assert_empty response.all("set-cookie")
          assert_equal "hello", client.get("/").body, "after #{name}"
        end
      end
    end
    assert_healthy(server)
  end
end
