# frozen_string_literal: true

require_relative "support/server_test"

# Trailers: fields after the body of a request or of a response.
class TrailersTest < ServerTest
  # Responds with the trailers that it finds before and after it has read the body.
  class Reader
    def call(env)
      input = env["rack.input"]
      seen = [input.trailers, input.trailers.frozen?]
      seen << input.read(env["QUERY_STRING"].to_i).to_s if env["QUERY_STRING"] != ""
      seen << input.trailers
      seen << input.read.bytesize << input.trailers
      frozen = input.trailers.frozen? && input.trailers.all? { |pair| pair.all?(&:frozen?) }
      Apps.text((seen << frozen << env.keys.grep(/TRAILER|CHECK/)).inspect)
    end
  end

  # A body whose trailers exist only after it has ended.
  class Pieces
    def initialize(pieces, trailers)
      @pieces = pieces
      @trailers = trailers
      @ended = false
    end

    def each(&block)
      @pieces.each(&block)
      @ended = true
    end

    def trailers
      raise "not ended" unless @ended
      raise "the trailers broke" if @trailers == :raise

      @trailers
    end
  end

  class Callable < Pieces
    def initialize(pieces, trailers, closes)
      super(pieces, trailers)
      @closes = closes
    end
    undef_method :each

    def call(stream)
      @pieces.each { |piece| stream.write(piece) }
      stream.close if @closes
      if @closes
        raise "open" unless stream.closed?

        begin
          stream.write("too late")
          raise "written"
        rescue IOError
          nil
        end
      end
      @ended = true
    end
  end

  # Also responds to to_ary, which must not be called.
  class Convertible < Pieces
    def to_ary = raise("asked for an Array")
  end

  class Writer
    STATUS = Ractor.make_shareable({ "grpc-status" => "0", "x-many" => %w[a b], "Content-Length" => "7", "x-nil" => nil,
                                     :symbol => 1 })

    def call(env)
      headers = { "content-type" => "text/plain", "trailer" => "grpc-status" }
      headers["content-length"] = "6" if env["QUERY_STRING"] == "length"
      body =
        case env["PATH_INFO"]
        when "/pieces" then Pieces.new(%w[abc def], STATUS)
        when "/call" then Callable.new(%w[abc def], STATUS, false)
        when "/closing" then Callable.new(%w[abc def], STATUS, true)
        when "/convertible" then Convertible.new(%w[abc def], STATUS)
        when "/empty" then Pieces.new([], STATUS)
        when "/none" then Pieces.new(%w[abc def], {})
        when "/nil" then Pieces.new(%w[abc def], nil)
        when "/raise" then Pieces.new(%w[abc def], :raise)
        when "/raise_empty" then Pieces.new([], :raise)
        when "/bad_name" then Pieces.new(%w[abc def], { "a b" => "c" })
        when "/bad_value" then Pieces.new(%w[abc def], { "a" => "b\r\nc: d" })
        when "/bad_type" then Pieces.new(%w[abc def], 5)
        end
      [env["QUERY_STRING"] == "204" ? 204 : 200, headers, body]
    end
  end

  TE = { "TE" => "trailers" }.freeze
  SENT = [%w[grpc-status 0], %w[x-many a], %w[x-many b], %w[symbol 1]].freeze

  def chunked(path, chunks, trailers)
    "POST #{path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nX-Check: head\r\n\r\n" \
      "#{chunks.map { |one| "#{one.bytesize.to_s(16)}\r\n#{one}\r\n" }.join}0\r\n#{trailers}\r\n"
  end

  def round_trip(client, bytes)
    client.send_raw(bytes)
    client.read_response
  end

  TRAILERS = "X-Check: abc\r\nx-CHECK: d\r\nHost: evil\r\nContent_Length: 1\r\nAuthorization: x\r\nX_Other:  1 \t\r\n"
  FOUND = { "x-check" => "abc, d", "x_other" => "1" }.freeze

  [{}, { stream_body: ["/"] }].each do |streamed|
    test "trailers of a request can be read after its body, #{streamed.empty? ? "collected" : "streamed"}" do |mode|
      server = serve(Reader.new, mode, lint: false, **streamed)
      Client.open(server.port) do |client|
        3.times do
          assert_equal [{}, true, {}, 6, FOUND, true, ["HTTP_X_CHECK"]].inspect, round_trip(client, chunked("/", %w[abc def], TRAILERS)).body
        end
        assert_equal [{}, true, "abc", {}, 3, FOUND, true, ["HTTP_X_CHECK"]].inspect, round_trip(client, chunked("/?3", %w[abc def], TRAILERS)).body
        large = "x" * 300_000
        assert_equal [{}, true, {}, 600_000, FOUND, true, ["HTTP_X_CHECK"]].inspect, round_trip(client, chunked("/", [large, large], TRAILERS)).body
        assert_equal [{}, true, {}, 3, {}, true, ["HTTP_X_CHECK"]].inspect, round_trip(client, chunked("/", %w[abc], "")).body
        assert_equal [{}, true, {}, 3, {}, true, ["HTTP_X_CHECK"]].inspect, round_trip(client, chunked("/", %w[abc], "Host: x\r\n")).body
        assert_equal [{}, true, {}, 0, {}, true, []].inspect, client.get("/").body
      end
    end
  end

  test "trailers of a streamed request can be read at the end of its body" do |mode|
    server = serve(Reader.new, mode, lint: false, stream_body: ["/"])
    Client.open(server.port) do |client|
      whole = chunked("/?3", %w[abc def], TRAILERS)
      whole.each_char { |one| client.send_raw(one) }
      assert_equal [{}, true, "abc", {}, 3, FOUND, true, ["HTTP_X_CHECK"]].inspect, client.read_response.body
    end
  end

  test "invalid trailers are answered 400, and other requests are served" do |mode|
    [{}, { stream_body: ["/"] }].each do |streamed|
      server = serve(Reader.new, mode, lint: false, **streamed)
      ["a b: c\r\n", ": c\r\n", "a: \x01\r\n", "a-b: 1\r\na_b: 2\r\n", "a: b\r\n c\r\n", "a: b\n"].each do |trailers|
        logged do
          Client.open(server.port) { |client| assert_equal 400, round_trip(client, chunked("/", %w[abc], trailers)).status, trailers }
        end
        Client.open(server.port) { |client| assert_equal 200, client.get("/").status }
      end
    end
  end

  test "trailers of a response are sent to a client that accepts them" do |mode|
    server = serve(Writer.new, mode, lint: false)
    Client.open(server.port) do |client|
      client.takes_trailers = true
      %w[pieces call closing convertible].each do |path|
        response = client.get("/#{path}", headers: TE)
        assert_equal [200, "abcdef", SENT, "grpc-status"], [response.status, response.body, response.trailers, response["trailer"]], path
      end
      response = client.get("/empty", headers: TE)
      assert_equal ["", SENT, "chunked"], [response.body, response.trailers, response["transfer-encoding"]]
      %w[none nil].each do |path|
        response = client.get("/#{path}", headers: TE)
        assert_equal ["abcdef", []], [response.body, response.trailers]
      end
    end
  end

  test "trailers of a response are dropped if the client or the framing does not allow them" do |mode|
    server = serve(Writer.new, mode, lint: false)
    Client.open(server.port) do |client|
      %w[pieces call closing convertible].each do |path|
        response = client.get("/#{path}")
        assert_equal ["abcdef", nil], [response.body, response["trailer"]], path
        assert_equal "abcdef", client.get("/#{path}", headers: { "TE" => "gzip" }).body
        response = client.get("/#{path}?length", headers: TE)
        assert_equal ["abcdef", "6"], [response.body, response["content-length"]], path
        assert_equal 200, client.request("HEAD", "/#{path}", headers: TE).status
        assert_equal 204, client.get("/#{path}?204", headers: TE).status
        assert_equal "abcdef", Client.open(server.port) { |old| old.get("/#{path}", version: "HTTP/1.0", headers: TE).body }
      end
      response = client.get("/empty")
      assert_equal ["", "0"], [response.body, response["content-length"]]
    end
  end

  test "an error in the trailers aborts the response, or produces a 500 if nothing has been sent" do |mode|
    server = serve(Writer.new, mode, lint: false)
    %w[raise bad_name bad_value bad_type].each do |path|
      log = logged do
        response = Client.open(server.port) { |client| client.get("/#{path}", headers: TE) }
        refute response.complete, path
      end
      assert_match(/the trailers broke|the response trailer|Hash/, log)
    end
    logged { Client.open(server.port) { |client| assert_equal 500, client.get("/raise_empty", headers: TE).status } }
  end
end
