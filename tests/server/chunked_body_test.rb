# frozen_string_literal: true

require_relative "support/bodies"
require_relative "support/server_test"

# Bodies that the app has chunk-coded itself.
class ChunkedBodyTest < ServerTest
  CODED = { "transfer-encoding" => "chunked" }.freeze
  WHOLE = "5\r\nhello\r\n6;a=\"b\"\r\n world\r\n0\r\n\r\n"

  # What it sends is in PIECES, by path.
  class App < Apps::Router
    HEADERS = Ractor.make_shareable({ "Transfer-Encoding" => "Chunked" })
    PIECES = Ractor.make_shareable({
      # As Rails' render stream: true and Roda's chunked plugin yield them.
      "/pieces" => ["5\r\n", "hello", "\r\n", "6\r\n", " world", "\r\n", "0\r\n", "\r\n"],
      "/whole" => [WHOLE], "/plain" => ["hello", " world"], "/cut" => ["5\r\nhello\r\n"]
    })

    def index(_env)
      Apps.text("hello")
    end

    def call(env)
      path, query = env.values_at("PATH_INFO", "QUERY_STRING")
      pieces = PIECES[path] or return super
      [200, HEADERS, query == "each" ? Bodies::Pieces.new(pieces, "") : pieces]
    end
  end

  def decoded(pieces, headers = CODED)
    whole = +""
    Kino::ChunkedBody.decoded(headers, pieces).each { |data| whole << data }
    whole
  end

  test "a client gets the content of a body that is chunk-coded already, and of one that is not" do |mode|
    server = serve(App.new, mode, lint: false)
    %w[/pieces /whole /plain].product(["", "?each"]).each do |path, query|
      Client.open(server.port) do |client|
        assert_equal "hello world", client.get(path + query).body, path + query
        assert_equal [200, ""], client.request("HEAD", path + query).then { |response| [response.status, response.body] }
      end
      Client.open(server.port) do |client|
        client.send_raw("GET #{path}#{query} HTTP/1.0\r\n\r\n")
        assert_equal "hello world", client.read_response.body
      end
    end
  end

  test "a response is cut off where its chunks are, if it has begun" do |mode|
    server = serve(App.new, mode, lint: false)
    log = logged do
      Client.open(server.port) { |client| refute client.get("/cut?each").complete }
      Client.open(server.port) { |client| assert_equal 500, client.get("/cut").status }
    end
    assert_match(/lacks its last chunk/, log)
    assert_healthy(server)
  end

  test "chunks are decoded however they are cut into pieces", modes: [:threaded] do |_mode|
    random = Random.new(11)
    300.times do
      content = Array.new(random.rand(1..6)) { random.bytes(random.rand(1..300)) }
      coded = content.map { |data| "#{data.bytesize.to_s(16)}\r\n".b << data << "\r\n" }.join << "0\r\nx-trailer: 1\r\n\r\n"
      pieces = []
      pieces << coded.slice!(0, random.rand(1..80)) until coded.empty?
      assert_equal content.join, decoded(pieces).b
    end
  end

  test "what is no chunk at the beginning is the content", modes: [:threaded] do |_mode|
    ["", "5", "5\r", "5;", "5 x\r\n", "hello", "\r\n", "10000000000000000\r\n", "5;#{"a" * 300}\r\nhello"].each do |text|
      assert_equal text, decoded(text.chars)
      assert_equal text, decoded([text])
    end
    assert_equal WHOLE, decoded([WHOLE], {})
    assert_equal WHOLE, decoded([WHOLE], { "transfer-encoding" => "gzip" })
    ["5\r\nhello!\r\n0\r\n\r\n", "5\r\nhello\r\nx\r\n", "5\r\nhel", "5\r\nhello\r\n"].each do |coded|
      assert_raises(ArgumentError) { decoded([coded]) }
    end
  end
end
