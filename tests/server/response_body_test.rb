# frozen_string_literal: true

require_relative "support/bodies"
require_relative "support/server_test"

# Responses with complete bodies: framing, headers and errors. streaming_test.rb covers streamed bodies.
class ResponseBodyTest < ServerTest
  # Responses of all kinds.
  class Responses < Bodies::Routes
    def array(_env)
      [200, Apps::TEXT.dup, ["a", "", "b", "c"]]
    end

    def empty(_env)
      [200, Apps::TEXT.dup, []]
    end

    # A file without a length, from the given offset on.
    def file(env)
      file = File.open(__FILE__)
      file.seek(env["QUERY_STRING"].to_i)
      [200, Apps::TEXT.dup, file]
    end

    def device(_env)
      [200, Apps::TEXT.dup, File.open("/dev/null")]
    end

    def proxy(env)
      [200, Apps::TEXT.dup, Bodies::Proxy.new(%w[a b], env["QUERY_STRING"])]
    end

    def no_array(env)
      [200, Apps::TEXT.dup, Bodies::NoArray.new(%w[a b], env["QUERY_STRING"])]
    end

    def big(_env)
      [200, { "content-type" => "application/octet-stream" }, ["0123456789abcdef" * (10 << 16)]]
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
      [304, { "etag" => "\"x\"" }, Bodies::Pieces.new([], env["QUERY_STRING"])]
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

  # Responses that Rack::Lint would not let through.
  class Wrong < Apps::Router
    RESPONSES = Ractor.make_shareable({
      "status_string" => ["oops", {}, []], "status_nil" => [nil, {}, []], "status_low" => [99, {}, []], "status_high" => [1000, {}, []],
      "status_huge" => [2**64, {}, []],
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

  # Responds to "/kind/status" with that status and a body of that kind, even if the status does not allow one.
  class Statuses < Apps::Router
    BODIES = Ractor.make_shareable({
      "array" => ["body"], "empty" => [], "each" => Bodies::Pieces.new(%w[bo dy].freeze, ""),
      "call" => Bodies::Callable.new
    })

    def call(env)
      _, kind, status = env["PATH_INFO"].split("/")
      return Apps.text("hello") unless status

      headers = { "content-type" => "text/plain" }
      headers["content-length"] = "4" if env["QUERY_STRING"] == "length"
      env["rack.response_finished"] << proc {} if env["QUERY_STRING"] == "callback"
      [status.to_i, headers, BODIES.fetch(kind)]
    end
  end

  # Headers about the connection, and headers for the server.
  class HopByHop < Apps::Router
    HEADERS = Ractor.make_shareable({ "connection" => "x-own, keep-alive", "keep-alive" => "timeout=5", "transfer-encoding" => "chunked",
                                      "trailer" => "x-end", "proxy-connection" => "close", "rack.own" => "x" })

    def index(_env)
      Apps.text("hello", 200, HEADERS)
    end

    def close(_env)
      Apps.text("hello", 200, "connection" => "x,\tClose")
    end

    def upgrade(_env)
      Apps.text("hello", 426, "upgrade" => "h2c")
    end

    def hijack_upgrade(_env)
      [101, { "connection" => "upgrade", "upgrade" => "websocket", "rack.hijack" => proc {} }, []]
    end
  end

  # Header values that are not Strings.
  class Values < Apps::Router
    def call(_env)
      [200, { "x-number" => 42, "x-symbol" => :yes, "x-list" => [1, :two] }, ["hello"]]
    end
  end

  test "an Array is sent with its length" do |mode|
    server = serve(Responses.new, mode)
    Client.open(server.port) do |client|
      response = client.get("/array")
      assert_equal ["abc", "3", nil], [response.body, response["content-length"], response["transfer-encoding"]]
      response = client.get("/empty")
      assert_equal ["", "0"], [response.body, response["content-length"]]
    end
  end

  test "a body whose to_ary returns nil is enumerated and closed" do |mode|
    server = serve(Responses.new, mode, lint: false)
    closed = gate
    Client.open(server.port) do |client|
      assert_equal [200, "ab"], client.get("/no-array?#{closed.query}").then { |response| [response.status, response.body] }
      closed.await
    end
    assert_healthy(server)
  end

  test "a body with to_ary is sent with its length and closed" do |mode|
    server = serve(Responses.new, mode)
    closed = gate
    Client.open(server.port) do |client|
      response = client.get("/proxy?#{closed.query}")
      assert_equal %w[ab 2], [response.body, response["content-length"]]
      closed.await
    end
  end

  test "ten megabytes are sent unchanged" do |mode|
    server = serve(Responses.new, mode)
    expected = "0123456789abcdef" * (10 << 16)
    Client.open(server.port) do |client|
      assert_equal expected.hash, client.get("/big").body.hash
      assert_equal "hello", client.get("/").body
    end
  end

  test "headers are sent as the app gave them, with server and date unless it gave those" do |mode|
    server = serve(Responses.new, mode)
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

  test "header values that are not Strings are converted" do |mode|
    server = serve(Values.new, mode, lint: false)
    Client.open(server.port) do |client|
      response = client.get("/")
      assert_equal [["42"], ["yes"], %w[1 two]], %w[x-number x-symbol x-list].map { |name| response.all(name) }
    end
  end

  test "the response to HEAD has headers and no body, and the app's body is closed" do |mode|
    server = serve(Responses.new, mode)
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
      # A byte of a body would be read as part of this response.
      assert_equal "hello", client.get("/").body
    end
  end

  test "204 and 304 have no body" do |mode|
    server = serve(Responses.new, mode)
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

  # Sends the request and another one at once: a surplus byte of the first response is read as part of the second.
  def get_twice(client, path, version: "1.1", method: "GET")
    client.send_raw("#{method} #{path} HTTP/#{version}\r\nHost: x\r\nConnection: keep-alive\r\n\r\n" \
                    "GET / HTTP/#{version}\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
    response = client.read_response(method)
    assert_equal "hello", client.read_response.body, "after #{method} #{path}"
    response
  end

  test "an app's interim status becomes 500, and the next request gets its own response" do |mode|
    server = serve(Statuses.new, mode, lint: false)
    Client.open(server.port) do |client|
      [100, 101, 102, 103, 150, 199].product(%w[array empty each call], ["", "?callback"]) do |status, kind, query|
        log = logged { assert_equal 500, get_twice(client, "/#{kind}/#{status}#{query}").status, "#{status} with #{kind}" }
        assert_match(/#{status} is an interim status/, log)
      end
    end
  end

  test "a status that must not have a body is sent without one" do |mode|
    server = serve(Statuses.new, mode, lint: false)
    Client.open(server.port) do |client|
      [204, 205, 304].product(%w[array empty each call], ["", "?length", "?callback"]) do |status, kind, query|
        response = get_twice(client, "/#{kind}/#{status}#{query}")
        expected = { 204 => nil, 205 => "0", 304 => query == "?length" ? "4" : nil }.fetch(status)
        assert_equal [status, expected, nil], [response.status, response["content-length"], response["transfer-encoding"]],
                     "#{status} with #{kind}#{query}"
      end
    end
  end

  test "every other status is sent with its body, and for HEAD without" do |mode|
    server = serve(Statuses.new, mode, lint: false)
    Client.open(server.port) do |client|
      [200, 201, 206, 226, 299, 300, 301, 305, 399, 400, 404, 418, 499, 500, 501, 599, 600, 999].each do |status|
        %w[array each call].each do |kind|
          response = get_twice(client, "/#{kind}/#{status}")
          assert_equal [status, "body"], [response.status, response.body]
          assert_equal status, get_twice(client, "/#{kind}/#{status}", method: "HEAD").status
        end
      end
    end
  end

  test "headers about the connection are replaced by the server's" do |mode|
    server = serve(HopByHop.new, mode, lint: false)
    Client.open(server.port) do |client|
      response = get_twice(client, "/")
      assert_equal "hello", response.body
      %w[connection keep-alive transfer-encoding trailer proxy-connection rack.own].each { |name| assert_empty response.all(name), name }
      response = get_twice(client, "/upgrade")
      assert_equal [426, "h2c", "upgrade"], [response.status, response["upgrade"], response["connection"]]
      log = logged { assert_equal 500, get_twice(client, "/hijack-upgrade").status }
      assert_match(/interim/, log)
      assert client.get("/close").closes?
      assert client.closed_by_server?
    end
  end

  test "rack.response_finished runs in reverse order, after errors too" do |mode|
    server = serve(Responses.new, mode, lint: false)
    reader, writer = IO.pipe
    Client.open(server.port) do |client|
      assert_equal "finished", client.get("/finished?fd=#{writer.fileno}").body
      assert_equal "second 200 nil first 4 ", reader.readpartial(100).then { |got| got.size < 20 ? got + reader.readpartial(100) : got }
      logged do
        assert_equal 500, client.get("/finished?raise&fd=#{writer.fileno}").status
        got = +""
        got << reader.readpartial(100) until got.include?("first")
        assert_match(/\Asecond 500 #<RuntimeError: for the callback> first 4 \z/, got)
      end
    end
  ensure
    [reader, writer].each(&:close)
  end

  test "an invalid response becomes 500" do |mode|
    server = serve(Wrong.new, mode, lint: false)
    log = logged do
      Wrong::RESPONSES.each_key do |name|
        Client.open(server.port) do |client|
          response = client.get("/#{name}")
          assert_equal 500, response.status, name
          assert_empty response.all("set-cookie")
          assert_equal "hello", client.get("/").body, "after #{name}"
        end
      end
    end
    assert_match(/GET \/status_string raised: TypeError: kino: the response status is not a number but "oops"$/, log)
    assert_match(/GET \/status_huge raised: ArgumentError: kino: the response status 18446744073709551616 is not between 200 and 999$/, log)
    assert_match(/GET \/nothing raised: TypeError: the app returned nil instead of \[status, headers, body\]$/, log)
    assert_healthy(server)
  end

  # Without Lint, whose wrapper is not a file.
  test "a file is sent with its length" do |mode|
    server = serve(Responses.new, mode, lint: false)
    text = File.binread(__FILE__)
    Client.open(server.port) do |client|
      [0, 100].each do |offset|
        response = client.get("/file?#{offset}")
        assert_equal (text.bytesize - offset).to_s, response["content-length"]
        assert_equal text.byteslice(offset..), response.body.b
      end
      assert_equal "", client.get("/device").body
    end
  end
end
