# frozen_string_literal: true

require_relative "support/server_test"
require_relative "support/websocket_client"

# Compressed messages: permessage-deflate.
class WebSocketCompressionTest < ServerTest
  OFFER = "permessage-deflate; client_max_window_bits"
  ACCEPTED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
  LONG = ("all work and no play makes a long message " * 3000).freeze

  # Sends back what it gets, or publishes it.
  module Echo
    def self.on_open(client)
      client.subscribe("all")
    end

    def self.on_message(client, data)
      data.delete_prefix!("publish: ") ? client.publish("all", data) : client.write(data)
    end
  end

  class App < Apps::Basic
    def call(env)
      return super unless env["rack.upgrade?"] == :websocket

      env["rack.upgrade"] = Echo
      [200, env["PATH_INFO"] == "/wrong" ? { "Sec-WebSocket-Extensions" => "permessage-deflate" } : {}, []]
    end
  end

  def setup
    super
    skip "the server is built without zlib" unless Kino::Native.settings({}).fetch(:websocket_compression)
  end

  def teardown
    @clients&.each(&:close)
    super
  end

  def serve_echo(mode, **options)
    serve(App.new, mode, lint: false, **options)
  end

  def connect(server, compression: OFFER)
    client = WebSocketClient.new(server.port, compression: compression)
    (@clients ||= []) << client
    client
  end

  # What the client gets back, and the size of its frame.
  def echo(client, data, **how)
    client.send_text(data, **how)
    frame = client.read_frame
    assert_equal data, frame.data.force_encoding(Encoding::UTF_8)
    frame.size
  end

  # What was logged about a client is there then.
  def await_end(server)
    eventually("the WebSocket is forgotten") { server.stats[:websockets].zero? }
  end

  test "a client that offers it gets long messages compressed, and may compress its own" do |mode|
    server = serve_echo(mode)
    client = connect(server)
    assert_equal ACCEPTED, client.response["sec-websocket-extensions"]
    assert_operator echo(client, LONG, compressed: true), :<, LONG.size / 10
    assert_operator echo(client, LONG), :<, LONG.size / 10
    assert_equal "grüße".bytesize, echo(client, "grüße", compressed: true)
    client.send_close
    assert_equal 1000, client.read_close
    assert_healthy server
  end

  covers :websocket_compression
  test "other clients, and servers that do not want it, do without" do |mode|
    client = connect(serve_echo(mode), compression: nil)
    assert_nil client.response["sec-websocket-extensions"]
    assert_equal LONG.size, echo(client, LONG)

    client = connect(serve_echo(mode, websocket_compression: false))
    assert_nil client.response["sec-websocket-extensions"]
    assert_equal LONG.size, echo(client, LONG)
    logged do
      client.send_text("a", compressed: true)
      assert_equal 1002, client.read_close
    end
  end

  test "each subscriber gets what is published as it has agreed" do |mode|
    server = serve_echo(mode)
    offers = [OFFER, nil, "permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=8"]
    clients = Array.new(16) { |i| connect(server, compression: offers[i % 4]) }
    clients.each { |client| echo(client, "hello") } # now each has subscribed
    clients[0].send_text("publish: #{LONG}", compressed: true)
    sizes = clients.map do |client|
      frame = client.read_frame
      assert_equal LONG, frame.data
      frame.size
    end
    assert_operator sizes[0], :<, LONG.size / 10
    assert_equal [sizes[0], LONG.size, sizes[2], LONG.size] * 4, sizes
    assert_operator sizes[2], :<, LONG.size
  end

  test "a message that would become too long closes the connection with 1009" do |mode|
    server = serve_echo(mode, max_websocket_message_size: 100_000)
    client = connect(server)
    echo(client, "x" * 100_000, compressed: true)
    log = logged do
      client.send_text("x" * 100_001, compressed: true)
      assert_equal 1009, client.read_close
      assert_predicate client, :ended?
      await_end server
    end
    assert_match(/longer than max_websocket_message_size/, log)
    log = logged do
      other = connect(server)
      other.send_frame(WebSocketClient::BINARY, "\0" * 100_000_000, compressed: true) # 100 KB
      assert_equal 1009, other.read_close
      await_end server
    end
    assert_match(/longer than max_websocket_message_size/, log)
    assert_healthy server
  end

  test "text is UTF-8 also when it is compressed" do |mode|
    server = serve_echo(mode)
    client = connect(server)
    log = logged do
      client.send_text("\xff", compressed: true)
      assert_equal 1007, client.read_close
      await_end server
    end
    assert_match(/is not UTF-8/, log)
  end

  test "an app that answers with extensions of its own is told so" do |mode|
    server = serve_echo(mode)
    log = logged do
      client = WebSocketClient.new(server.port, "/wrong", compression: OFFER)
      (@clients ||= []) << client
      assert_equal 500, client.response.status
    end
    assert_match(/websocket_compression/, log)
  end
end
