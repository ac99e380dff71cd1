# frozen_string_literal: true

require_relative "support/http2_frames"
require_relative "support/tls"

# Clients that speak something else than TLS, or not enough of it. A canary is served all the while.
class TLSHostileTest < TLSServerTest
  include HTTP2Frames

  def failed(server)
    tls_stats(server)[:failed]
  end

  def canary(server)
    TLSClient.open(server.port, trust: @identity) { |client| assert_equal "hello", client.get("/").body }
  end

  def test_plain_http_gets_one_readable_400_and_a_line_in_the_log
    files = @identity.write(directory)
    app = File.expand_path("support/echo.ru", __dir__)
    @child = Child.kino("-m", "threaded", "-w", "1", "--tls", "cert=#{files[:cert]},key=#{files[:key]}", app)
    Client.open(@child.port) do |client|
      response = client.get("/")
      assert_equal 400, response.status
      assert_includes response.body, "https://"
      assert client.closed_by_server?
    end
    @child.await_line(/127\.0\.0\.1:\d+: 400, the client speaks plain HTTP to an address that speaks HTTPS/)
  end

  covers :handshake_timeout
  def test_a_handshake_that_takes_too_long_is_ended_however_it_is_fragmented
    server = serve_tls(handshake_timeout: 1.5)
    silent = Client.new(server.port)
    slow = Client.new(server.port)
    hello = client_hello
    sender = Thread.new do
      hello.each_char { |byte| slow.send_raw(byte) && slow.socket.wait_readable(0.02) && break }
    rescue Errno::EPIPE, Errno::ECONNRESET
      nil
    end
    assert silent.closed_by_server?
    assert slow.closed_by_server?
    sender.join
    eventually("both are counted") { failed(server)[:timeout] == 2 }
    # A complete handshake is not concerned, however long its connection lasts.
    TLSClient.open(server.port) do |client|
      assert_equal "hello", client.get("/").body
      Client.open(server.port) { |other| assert other.closed_by_server?, "one that began later has ended" }
      assert_equal "hello", client.get("/").body
    end
    assert_equal 3, failed(server)[:timeout]
  end

  # What OpenSSL's client sends first.
  def client_hello
    ours, theirs = UNIXSocket.pair
    client = OpenSSL::SSL::SSLSocket.new(theirs)
    client.connect_nonblock(exception: false)
    ours.readpartial(65_536)
  ensure
    ours.close
    theirs.close
  end

  def test_a_client_that_speaks_another_protocol_than_it_has_agreed_on_gets_no_response
    server = serve_tls
    { "h2" => "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "http/1.1" => preface }.each do |agreed, bytes|
      client = TLSClient.new(server.port, alpn_protocols: [agreed])
      client.send_raw(bytes)
      refute_match(/ 200 |hello/, client.read_to_end, agreed)
    rescue Errno::ECONNRESET # that is a refusal, too
    ensure
      client&.close
    end
  end

  def test_garbage_truncated_and_changed_handshakes
    server = serve_tls
    hello = client_hello
    random = Random.new(3)
    attacks = Array.new(60) { random.bytes(random.rand(1..2000)) }
    attacks += Array.new(60) { hello[0, random.rand(hello.size)] }
    attacks += Array.new(60) { hello.dup.tap { |bytes| bytes.setbyte(random.rand(bytes.size), random.rand(256)) } }
    attacks += ["\x16\x03\x01\xff\xff".b + ("x" * 100), "\x80\x2e\x01\x00\x02".b, "\x15\x03\x01\x00\x02\x02\x00".b, "\x17\x03\x03\x00\x01x".b]
    output = logged do
      attacks.each_with_index do |bytes, n|
        Client.open(server.port) do |client|
          client.send_raw(bytes)
          client.socket.close_write
          client.read_to_end
        rescue Errno::ECONNRESET, Errno::EPIPE
          nil
        end
        canary(server) if (n % 40).zero?
      end
    end
    canary(server)
    eventually("all connections are closed") { server.stats[:connections].zero? }
    assert_operator failed(server).values.sum, :>=, attacks.size
    assert_operator failed(server)[:client_left], :>, 0
    assert_operator failed(server)[:malformed], :>, 0
    refute_empty output
    assert_empty output.lines.reject { |line| line.start_with?("kino: 127.0.0.1:") }
  end

  def test_records_that_are_cut_off_or_changed_after_the_handshake
    server = serve_tls
    20.times do |n|
      client = TLSClient.new(server.port)
      assert_equal "hello", client.get("/").body
      n.even? ? client.plain.write("\x17\x03\x03\x00\x50#{"x" * 0x50}") : client.plain.write("\x17\x03\x03\x00\x50xx")
      client.plain.close_write
      client.plain.read
      client.close
    end
    canary(server)
    eventually("all connections are closed") { server.stats[:connections].zero? }
  end

  def test_many_that_begin_and_stop_do_not_keep_others_out
    server = serve_tls(handshake_timeout: 60)
    idle = Array.new(200) { |n| Client.new(server.port).send_raw(client_hello[0, n]) }
    5.times { canary(server) }
    idle.each(&:close)
    eventually("all connections are closed") { server.stats[:connections].zero? }
  end

  def test_a_server_that_stops_does_not_wait_for_handshakes
    server = serve_tls(handshake_timeout: 60)
    idle = Array.new(5) { Client.new(server.port) }
    canary(server)
    assert server.shutdown(timeout: 20)
    idle.each { |client| assert client.closed_by_server? }
  end
end
