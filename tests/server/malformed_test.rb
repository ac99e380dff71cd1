# frozen_string_literal: true

require_relative "support/server_test"

# Ambiguous and invalid requests: each gets its status and a closed connection, and no part of it is ever
# parsed as another request.
class MalformedTest < ServerTest
  HOST = "Host: x\r\n"
  # A request that must never be served: it follows each of the requests below.
  SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

  BAD = {
    "content-length beside transfer-encoding" =>
      "POST / HTTP/1.1\r\n#{HOST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "transfer-encoding beside content-length" =>
      "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths that differ" => "POST / HTTP/1.1\r\n#{HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "two lengths that agree" => "POST / HTTP/1.1\r\n#{HOST}Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "a list of lengths" => "POST / HTTP/1.1\r\n#{HOST}Content-Length: 1, 1\r\n\r\na",
    "a negative length" => "POST / HTTP/1.1\r\n#{HOST}Content-Length: -1\r\n\r\n",
    "a signed length" => "POST / HTTP/1.1\r\n#{HOST}Content-Length: +1\r\n\r\na",
    "a hexadecimal length" => "POST / HTTP/1.1\r\n#{HOST}Content-Length: 0x1\r\n\r\na",
    "an empty length" => "POST / HTTP/1.1\r\n#{HOST}Content-Length: \r\n\r\n",
    "a length beyond 64 bits" => "POST / HTTP/1.1\r\n#{HOST}Content-Length: 99999999999999999999999\r\n\r\n",
    "chunked not last" => "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "an empty transfer-encoding" => "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: ,\r\n\r\n0\r\n\r\n",
    "chunked with a parameter" => "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n",
    "chunked twice" => "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "two transfer-encodings" =>
      "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a vertical tab before chunked" => "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n",
    "transfer-encoding in HTTP/1.0" => "POST / HTTP/1.0\r\n#{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon" => "POST / HTTP/1.1\r\n#{HOST}Content-Length : 1\r\n\r\na",
    "a tab before the colon" => "GET / HTTP/1.1\r\n#{HOST}X-A\t: 1\r\n\r\n",
    "a space before the first field" => "GET / HTTP/1.1\r\n #{HOST}\r\n",
    "a folded field" => "GET / HTTP/1.1\r\n#{HOST}X-A: 1\r\n 2\r\n\r\n",
    "a folded transfer-encoding" => "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a bare line feed after the request line" => "GET / HTTP/1.1\n#{HOST}\r\n",
    "a bare line feed after a field" => "GET / HTTP/1.1\r\nHost: x\nX-A: 1\r\n\r\n",
    "a bare line feed at the end" => "GET / HTTP/1.1\r\n#{HOST}\n",
    "a bare carriage return in a field" => "GET / HTTP/1.1\r\n#{HOST}X-A: 1\rX-B: 2\r\n\r\n",
    "a bare carriage return at the end" => "GET / HTTP/1.1\r\n#{HOST}\r\r\n",
    "a NUL in a value" => "GET / HTTP/1.1\r\n#{HOST}X-A: a\0b\r\n\r\n",
    "a control character in a value" => "GET / HTTP/1.1\r\n#{HOST}X-A: a\x01b\r\n\r\n",
    "a DEL in a value" => "GET / HTTP/1.1\r\n#{HOST}X-A: a\x7fb\r\n\r\n",
    "a NUL in a name" => "GET / HTTP/1.1\r\n#{HOST}X\0A: 1\r\n\r\n",
    "no name" => "GET / HTTP/1.1\r\n#{HOST}: 1\r\n\r\n",
    "no colon" => "GET / HTTP/1.1\r\n#{HOST}X-A\r\n\r\n",
    "a brace in a name" => "GET / HTTP/1.1\r\n#{HOST}X{A}: 1\r\n\r\n",
    "a byte over 127 in a name" => "GET / HTTP/1.1\r\n#{HOST}X-\xC3\xA4: 1\r\n\r\n",
    "an underscore that collides with a length" => "POST / HTTP/1.1\r\n#{HOST}Content_Length: 1\r\n\r\na",
    "an underscore that collides with a transfer-encoding" => "POST / HTTP/1.1\r\n#{HOST}Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n",
    "no host" => "GET / HTTP/1.1\r\n\r\n",
    "two hosts" => "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a host with a space" => "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a host with a path" => "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "an empty host" => "GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "a host that is no name" => "GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n",
    "a host that is no address" => "GET / HTTP/1.1\r\nHost: [1::2::3]\r\n\r\n",
    "a port that is none" => "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n",
    "a bad host behind a URL" => "GET http://x/ HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a URL of another scheme" => "GET ftp://x/ HTTP/1.1\r\n#{HOST}\r\n",
    "a URL with a user" => "GET http://u@x/ HTTP/1.1\r\n#{HOST}\r\n",
    "an asterisk without OPTIONS" => "GET * HTTP/1.1\r\n#{HOST}\r\n",
    "a percent sign without digits" => "GET /%zz HTTP/1.1\r\n#{HOST}\r\n",
    "a method that is no token" => "G(T / HTTP/1.1\r\n#{HOST}\r\n",
    "no method" => " / HTTP/1.1\r\n#{HOST}\r\n",
    "a method with a NUL" => "GE\0T / HTTP/1.1\r\n#{HOST}\r\n",
    "no target" => "GET HTTP/1.1\r\n#{HOST}\r\n",
    "two spaces before the target" => "GET  / HTTP/1.1\r\n#{HOST}\r\n",
    "two spaces before the version" => "GET /  HTTP/1.1\r\n#{HOST}\r\n",
    "a space behind the version" => "GET / HTTP/1.1 \r\n#{HOST}\r\n",
    "a tab before the target" => "GET \t/ HTTP/1.1\r\n#{HOST}\r\n",
    "a target with a space" => "GET /a b HTTP/1.1\r\n#{HOST}\r\n",
    "a target with a NUL" => "GET /a\0b HTTP/1.1\r\n#{HOST}\r\n",
    "a target without a slash" => "GET a HTTP/1.1\r\n#{HOST}\r\n",
    "HTTP/0.9" => "GET /\r\n#{HOST}\r\n",
    "a version in lower case" => "GET / http/1.1\r\n#{HOST}\r\n",
    "a version with two digits" => "GET / HTTP/1.10\r\n#{HOST}\r\n",
    "another protocol" => "GET / RTSP/1.0\r\n#{HOST}\r\n",
    "a TLS hello" => "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".b,
    "a chunk size that is no number" => "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "a negative chunk size" => "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked\r\n\r\n-1\r\n",
    "a chunk size with 0x" => "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits" => "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n",
    "a chunk that is longer than it says" => "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "a bare line feed after a chunk size" => "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
    "a bare line feed after a chunk" => "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n",
    "a list of chunk extensions with an empty one" => "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked\r\n\r\n1;;a\r\na\r\n0\r\n\r\n",
    "a space after a chunk size" => "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
    "a bare line feed in a chunk extension" => "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n0\r\n\r\n"
  }.freeze

  # What is sound and not served here: the status says what is missing.
  UNSERVED = {
    "what only resembles the beginning of HTTP/2" => [505, "PRI * HTTP/2.0\r\nHost: a\r\n\r\nSM\r\n\r\n"],
    "a later version" => [505, "GET / HTTP/3.0\r\n#{HOST}\r\n"],
    "CONNECT" => [501, "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n"],
    "an unknown transfer-encoding" => [501, "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"],
    "identity" => [501, "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: identity\r\n\r\n"],
    "a compressed body" => [501, "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
    "another expectation" => [417, "POST / HTTP/1.1\r\n#{HOST}Expect: x\r\nContent-Length: 1\r\n\r\na"],
    "fields beyond max_header_fields" => [431, "GET / HTTP/1.1\r\n#{HOST}#{"a:b\r\n" * 12_994}\r\n"],
    "cookies beyond max_header_fields" => [431, "GET / HTTP/1.1\r\n#{HOST}#{"Cookie:b\r\n" * 5000}\r\n"],
    "trailers beyond max_header_fields" =>
      [431, "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n#{"a:b\r\n" * 101}\r\n"],
    "a method beyond max_header_size" => [501, "#{"A" * 70_000} / HTTP/1.1\r\n#{HOST}\r\n"],
    "a target beyond max_header_size" => [414, "GET /#{"a" * 70_000} HTTP/1.1\r\n#{HOST}\r\n"],
    "a chunk size of zeros" => [400, "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked\r\n\r\n#{"0" * 70_000}1\r\na\r\n0\r\n\r\n"]
  }.freeze

  # Apps here see what gets through.
  class Witness < Apps::Router
    def call(env)
      env["rack.input"].read
      return Apps.text("hello") if env["PATH_INFO"] == "/healthy" || env["PATH_INFO"] == "/"

      Apps.text("got through to #{env["PATH_INFO"]}", 299)
    end
  end

  # Sends +bytes+ and as much of the rest as the server accepts; returns everything it answered.
  def converse(port, bytes)
    Client.open(port) do |client|
      begin
        client.send_raw(bytes)
        client.close_write
      rescue Errno::EPIPE, Errno::ECONNRESET, Errno::ENOTCONN
        nil
      end
      begin
        response = client.read_response
        rest = client.read_to_end
      rescue Errno::ECONNRESET
        rest = ""
      end
      return [response, rest]
    end
  end

  # The mode makes no difference to the parser, so one of them does for the table.
  BAD.transform_values { |bytes| [400, bytes] }.merge(UNSERVED).each do |what, (status, bytes)|
    test "#{status} for #{what}", modes: [:threaded] do |_mode|
      response, rest = nil
      log = logged { response, rest = converse(shared.port, bytes.b + SMUGGLED) }
      refute_nil response, "no answer at all"
      assert_equal status, response.status
      assert response.closes?, "the answer does not say that the connection closes"
      assert_equal response.body.bytesize.to_s, response["content-length"]
      assert_match(/ GMT\z/, response["date"])
      assert_equal "", rest, "something was answered after the #{status}"
      assert_match(/127\.0\.0\.1/, log, "the log does not name the peer")
    end
  end

  test "requests that are valid but unusual are served" do |mode|
    server = serve(Witness.new, mode)
    [
      "GET / HTTP/1.1\r\nhOsT: x\r\n\r\n", "\r\nGET / HTTP/1.1\r\n#{HOST}\r\n", "GET / HTTP/1.9\r\n#{HOST}\r\n",
      "GET / HTTP/1.1\r\nHost: x:1\r\n\r\n", "QUERY / HTTP/1.1\r\n#{HOST}\r\n", "x-y / HTTP/1.1\r\n#{HOST}\r\n",
      "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: ,chunked\t\r\n\r\n0\r\n\r\n", "GET / HTTP/1.1\r\n#{HOST}X-A:\r\n\r\n", "GET / HTTP/1.1\r\n#{HOST}X-A: \xC3\xA4\r\n\r\n",
      "GET / HTTP/1.1\r\n#{HOST}X-A: a\tb\r\n\r\n", "GET / HTTP/1.1\r\n#{HOST}X!#$%&'*+.^`|~: 1\r\n\r\n",
      "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", "POST / HTTP/1.1\r\n#{HOST}Content-Length: 007\r\n\r\nabcdefg",
      "POST / HTTP/1.1\r\n#{HOST}Content-Length:\t5\t\r\n\r\nhello",
      "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked\r\n\r\n1 ; a=b;c = \"\\\"\"\r\na\r\n0;d\r\n\r\n",
      "POST / HTTP/1.1\r\n#{HOST}Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n000\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"
    ].each do |bytes|
      Client.open(server.port) do |client|
        client.send_raw(bytes)
        assert_equal 200, client.read_response.status, bytes.inspect
      end
    end
  end

  covers :max_header_size, :max_header_fields
  test "431 for a head that is too large" do |mode|
    server = serve(Witness.new, mode, max_header_size: 4096)
    log = logged do
      ["GET / HTTP/1.1\r\n#{HOST}X-A: #{"a" * 5000}\r\n\r\n", "GET / HTTP/1.1\r\n#{HOST}#{"X-A: b\r\n" * 1000}\r\n", "GET / HTTP/1.1\r\n#{HOST}#{"a" * 5000}"].each do |bytes|
        response, rest = converse(server.port, bytes)
        assert_equal [431, true, ""], [response&.status, response&.closes?, rest], bytes[0, 40]
      end
    end
    assert_match(/4096/, log, "the log does not name the limit")
    server.shutdown
    server = serve(Witness.new, mode, max_header_fields: 20)
    log = logged { assert_equal 431, converse(server.port, "GET / HTTP/1.1\r\n#{HOST}#{"a:b\r\n" * 20}\r\n").first.status }
    assert_match(/limit 20, seen 21/, log, "the log does not name limit and value")
    Client.open(server.port) { |client| assert_equal 200, client.get("/", headers: { "X-A" => "a" * 3000 }).status }
    assert_equal 200, converse(server.port, "GET / HTTP/1.1\r\n#{HOST}#{"a:b\r\n" * 18}Connection: close\r\n\r\n").first.status
    assert_healthy(server)
  end

  test "no nonsense harms the server" do |mode|
    server = serve(Witness.new, mode)
    random = Random.new(3)
    logged do
      BAD.each_value do |bytes|
        # Every bad request with one byte changed, and a piece of it.
        twisted = bytes.b
        twisted.setbyte(random.rand(twisted.bytesize), random.rand(256))
        [twisted, bytes.b.byteslice(0, random.rand(bytes.bytesize))].each do |variant|
          Client.open(server.port) do |client|
            client.send_raw(variant)
            client.reset
          end
        end
      end
    end
    assert_healthy(server)
  end

  class << self
    attr_accessor :shared
  end

  # One server for the table; starting one for each line would take most of the time.
  def shared
    self.class.shared ||= Kino::Server.new(Witness.new.freeze, mode: :threaded, workers: 1, threads: 2).start.tap do |server|
      Minitest.after_run { server.shutdown(timeout: 5) }
    end
  end
end
