# frozen_string_literal: true

require_relative "support/server_test"
require_relative "support/websocket_client"

# WebSockets whose handlers are called by workers.
class WebSocketTest < ServerTest
  # Sends back what it gets, and a line about every other event.
  module Echo
    def self.on_open(client)
      client.write("open #{client.env["PATH_INFO"]} #{client.env["rack.url_scheme"]}")
    end

    def self.on_message(client, data)
      client.write(data.encoding == Encoding::UTF_8 ? "#{data} #{data.encoding}" : data)
    end

    def self.on_shutdown(client)
      client.write("shutdown")
    end

    def self.on_close(client)
      Gate.arrive(client.env["QUERY_STRING"]) if client.env["QUERY_STRING"].include?("arrive")
    end
  end

  # Does what its messages say.
  module Obeys
    def self.on_message(client, data)
      case data
      when "close" then client.close
      when "raise" then raise "as intended"
      when "exit" then Thread.exit
      when "throw" then throw :nowhere
      when "state" then client.write([client.open?, client.pending, client.timeout, client.frozen?, Ractor.shareable?(client)].inspect)
      when "big" then client.write("x" * 3_000_000)
      when /\Aflood (\d+)\z/ then 64.times { client.write("y" * (Regexp.last_match(1).to_i / 64)) }
      when "where" then client.write(Ractor.current.name.to_s)
      when "same" then client.write([client == client, client.eql?(client), client == 1, { client => 1 }[client]].inspect)
      when /\Atimeout (.+)\z/
        client.timeout = Regexp.last_match(1).to_f
        client.write(client.timeout.to_s)
      when /\Ahold\z/
        Gate.enter(client.env["QUERY_STRING"])
        client.write("held")
      end
    end

    def self.on_drained(client)
      client.write("drained")
    end
  end

  # Subscribes to what its query says, and publishes what it gets: "channel: data".
  module Talks
    def self.on_open(client)
      client.env["QUERY_STRING"].split("&").each do |channel|
        channel.include?("*") ? client.subscribe(channel, match: :pattern) : client.subscribe(channel)
      end
      client.write("subscribed")
    end

    def self.on_message(client, data)
      channel, text = data.split(": ", 2)
      case channel
      when "unsubscribe" then client.write(client.unsubscribe(text).inspect)
      when "everywhere" then client.write("sent to #{Kino.publish("news", text)}")
      when "wrong" then client.subscribe(text, match: :regexp)
      else client.publish(channel, text)
      end
    end
  end

  # Upgrades what it can.
  class App < Apps::Basic
    HANDLERS = { "/echo" => Echo, "/obeys" => Obeys, "/talks" => Talks, "/nothing" => Class.new }.freeze

    def call(env)
      handler = HANDLERS[env["PATH_INFO"]]
      return super unless handler
      return Apps.text("no: #{env["rack.upgrade?"].inspect}") unless env["rack.upgrade?"] == :websocket

      env["rack.upgrade"] = handler
      [200, { "x-greeting" => "hi", "set-cookie" => %w[a=1 b=2] }, []]
    end

    def refuse(env)
      env["rack.upgrade"] = Echo
      Apps.text("not you\n", 403)
    end

    def subprotocol(env)
      env["rack.upgrade"] = Echo
      [200, { "sec-websocket-protocol" => env["QUERY_STRING"] }, []]
    end
  end

  def connect(server, path = "/echo", **options)
    client = WebSocketClient.new(server.port, path, **options)
    (@clients ||= []) << client
    client
  end

  def serve_sockets(mode, **options)
    serve(App.new, mode, lint: false, **options)
  end

  def teardown
    @clients&.each(&:close)
    super
  end

  covers :websockets
  test "a handler talks to its client" do |mode|
    server = serve_sockets(mode)
    client = connect(server, "/echo?name=value", headers: { "Cookie" => "c=3" })
    assert_equal 101, client.response.status
    assert_equal "hi", client.response["x-greeting"]
    assert_equal %w[a=1 b=2], client.response.all("set-cookie")
    assert_nil client.response["content-length"]
    assert_equal "open /echo http", client.read
    client.send_text("grüße")
    assert_equal "grüße UTF-8", client.read
    client.send_frame(WebSocketClient::BINARY, "\xff\x00".b)
    assert_equal "\xff\x00".b, client.read
    client.send_frame(WebSocketClient::TEXT, "in ", last: false).send_frame(WebSocketClient::PING, "p").send_frame(0, "pieces")
    assert_equal WebSocketClient::Frame.new(WebSocketClient::PONG, "p"), client.read_frame
    assert_equal "in pieces UTF-8", client.read
    assert_equal 1, server.stats[:websockets]
    client.send_close
    assert_equal 1000, client.read_close
    assert_predicate client, :ended?
    eventually("the WebSocket is forgotten") { server.stats[:websockets].zero? }
    assert_healthy server
  end

  covers :websocket_events
  test "events of one client come in order, one at a time, and are counted" do |mode|
    server = serve_sockets(mode, workers: 4)
    client = connect(server)
    client.read
    500.times { |n| client.send_text(n.to_s) }
    500.times { |n| assert_equal "#{n} UTF-8", client.read }
    assert_equal 501, server.stats[:websocket_events]
    assert_equal 1, server.stats[:served]
  end

  test "an open connection holds no worker" do |mode|
    server = serve_sockets(mode, workers: 1)
    clients = Array.new(50) { connect(server) }
    clients.each { |client| assert_equal "open /echo http", client.read }
    clients.each_with_index { |client, n| client.send_text(n.to_s) }
    clients.each_with_index { |client, n| assert_equal "#{n} UTF-8", client.read }
    assert_healthy server
  end

  test "a request without an upgrade gets a response, and so does one whose app does not want it" do |mode|
    server = serve_sockets(mode)
    Client.open(server.port) do |client|
      assert_equal "no: nil", client.get("/echo").body
      assert_equal "hello", client.get("/", headers: WebSocketClient::HEADERS).body
      refused = client.get("/refuse", headers: WebSocketClient::HEADERS)
      assert_equal [403, "not you\n"], [refused.status, refused.body]
      assert_equal "no: nil", client.get("/echo", headers: WebSocketClient::HEADERS.merge("Upgrade" => "h2c")).body
    end
    assert_healthy server
  end

  test "an invalid handshake is refused" do |mode|
    server = serve_sockets(mode)
    Client.open(server.port) do |client|
      old = client.get("/echo", headers: WebSocketClient::HEADERS.merge("Sec-WebSocket-Version" => "8"))
      assert_equal [426, "13", "websocket"], [old.status, old["sec-websocket-version"], old["upgrade"]]
      assert_equal 400, client.get("/echo", headers: WebSocketClient::HEADERS.merge("Sec-WebSocket-Key" => "short")).status
    end
    assert_healthy server
  end

  test "a subprotocol must have been offered" do |mode|
    server = serve_sockets(mode)
    client = connect(server, "/subprotocol?v2", headers: { "Sec-WebSocket-Protocol" => "v1, v2" })
    assert_equal "v2", client.response["sec-websocket-protocol"]
    log = logged do
      assert_equal 500, connect(server, "/subprotocol?v3", headers: { "Sec-WebSocket-Protocol" => "v1, v2" }).response.status
    end
    assert_match(/v3.*does not offer/, log)
  end

  test "a handler needs none of the callbacks" do |mode|
    server = serve_sockets(mode)
    client = connect(server, "/nothing")
    client.send_text("unheard").send_close
    assert_equal 1000, client.read_close
    assert_equal 0, server.stats[:websocket_events]
  end

  test "a client says what is known of its connection" do |mode|
    server = serve_sockets(mode, websocket_ping_interval: 33)
    client = connect(server, "/obeys")
    client.send_text("state").send_text("same").send_text("timeout 12.5")
    assert_equal "[true, 0, 33.0, true, true]", client.read
    assert_equal "[true, true, false, 1]", client.read
    assert_equal "12.5", client.read
  end

  test "an exception in a callback is logged and closes the connection with 1011" do |mode|
    server = serve_sockets(mode)
    %w[raise throw].each do |word|
      client = connect(server, "/obeys")
      log = logged do
        client.send_text(word)
        assert_equal 1011, client.read_close
      end
      assert_match(/on_message of a WebSocket raised/, log)
    end
    assert_healthy server
  end

  test "a worker that dies in a callback closes the connection with 1011, and is replaced" do |mode|
    server = serve_sockets(mode)
    client = connect(server, "/obeys?#{gate.query}")
    logged do
      client.send_text("exit")
      assert_equal 1011, client.read_close
    end
    assert_healthy server
  end

  test "a handler closes its client" do |mode|
    server = serve_sockets(mode)
    client = connect(server, "/obeys")
    client.send_text("close").send_text("state")
    assert_equal 1000, client.read_close
    client.send_close
    assert_predicate client, :ended?
    eventually("the WebSocket is forgotten") { server.stats[:websockets].zero? }
  end

  covers :max_websocket_message_size
  test "a message that is too long closes the connection with 1009" do |mode|
    server = serve_sockets(mode, max_websocket_message_size: 1000)
    client = connect(server)
    client.read
    client.send_text("x" * 1000)
    assert_equal "#{"x" * 1000} UTF-8", client.read
    logged do
      client.send_text("x" * 1001)
      assert_equal 1009, client.read_close
    end
  end

  covers :max_websocket_pending
  test "a client that does not read loses its connection" do |mode|
    server = serve_sockets(mode, max_websocket_pending: 100_000)
    client = connect(server, "/obeys")
    log = logged do
      client.send_text("state") # then it is open
      client.read
      client.send_text("flood 60000000")
      eventually("the WebSocket is closed") { server.stats[:websockets].zero? }
    end
    assert_match(/does not read/, log)
    assert_healthy server
  end

  test "a slow client gets everything, and its handler learns when" do |mode|
    server = serve_sockets(mode, max_websocket_pending: 100_000_000)
    client = connect(server, "/obeys")
    client.send_text("flood 30000000")
    64.times { assert_equal 30_000_000 / 64, client.read.bytesize }
    assert_equal "drained", client.read
  end

  covers :websocket_ping_interval
  test "a silent client is pinged and given up" do |mode|
    server = serve_sockets(mode, websocket_ping_interval: 0.05)
    logged(/does not answer a ping/) do
      client = connect(server)
      assert_equal "open /echo http", client.read
      assert_equal WebSocketClient::PING, client.read_frame.kind
      eventually("it is given up") { server.stats[:websockets].zero? }
    end
  end

  test "the end of a connection is an event, however it comes" do |mode|
    server = serve_sockets(mode)
    [:close, :reset, :close_write].each do |way|
      at = gate
      client = connect(server, "/echo?#{at.query}")
      client.read
      client.http.public_send(way)
      at.await
    end
    assert_healthy server
  end

  test "a server that stops says so to handlers and clients, and waits for the last event" do |mode|
    server = serve_sockets(mode)
    at = gate
    clients = Array.new(20) { connect(server, "/echo?#{at.query}") }
    clients.each(&:read)
    stopping = Thread.new { server.shutdown }
    clients.each do |client|
      assert_equal "shutdown", client.read
      assert_equal 1001, client.read_close
      client.send_close(1001)
    end
    assert stopping.value, "no event was cut off"
    at.await(20)
    assert_equal 0, server.stats[:websockets]
  end

  test "messages wait while a handler is busy, and the client with them" do |mode|
    server = serve_sockets(mode, workers: 1)
    at = gate
    client = connect(server, "/obeys?#{at.query}")
    client.send_text("hold")
    at.await
    sender = Thread.new { 3000.times { client.send_text("z" * 1000) } }
    client.http.socket.setsockopt(Socket::SOL_SOCKET, Socket::SO_RCVBUF, 4096)
    at.pass
    assert_equal "held", client.read
    sender.join
    client.send_text("state")
    assert_match(/\A\[true, /, client.read)
  end

  test "pipelined bytes behind the handshake are the first messages" do |mode|
    server = serve_sockets(mode)
    http = Client.new(server.port)
    head = WebSocketClient::HEADERS.map { |name, value| "#{name}: #{value}\r\n" }.join
    http.send_raw("GET /echo HTTP/1.1\r\nHost: a\r\n#{head}\r\n" + WebSocketClient.frame(1, "early"))
    assert_equal 101, http.read_head.status
    assert_equal "open /echo http", http.read_exactly(17).byteslice(2..)
    assert_equal "early UTF-8", http.read_exactly(13).byteslice(2..)
    http.close
  end

  test "what is published reaches the subscribers" do |mode|
    server = serve_sockets(mode, workers: 4)
    news = Array.new(20) { connect(server, "/talks?news") }
    weather, both, all = ["weather", "news&weather", "*"].map { |query| connect(server, "/talks?#{query}") }
    [*news, weather, both, all].each { |client| assert_equal "subscribed", client.read }
    news.first.send_text("news: hello")
    [*news, both, all].each { |client| assert_equal "hello", client.read }
    assert_equal 2 + 1, Kino.publish("weather", "rain".b)
    [weather, both, all].each { |client| assert_equal WebSocketClient::Frame.new(WebSocketClient::BINARY, "rain"), client.read_frame }
    both.send_text("unsubscribe: news").send_text("unsubscribe: nothing")
    assert_equal %w[true false], [both.read, both.read]
    weather.send_text("everywhere: again")
    assert_equal "sent to 21", weather.read
    [*news, all].each { |client| assert_equal "again", client.read }
    [*news, weather, both, all].each(&:close)
    eventually("the subscriptions end") { Kino.publish("news", "nobody").zero? }
  end

  test "a channel can be matched in one way only" do |mode|
    server = serve_sockets(mode)
    client = connect(server, "/talks?")
    client.read
    log = logged do
      client.send_text("wrong: news")
      assert_equal 1011, client.read_close
    end
    assert_match(/match: :regexp is neither nil nor :pattern/, log)
  end

  test "a Ractor that handles nothing publishes, too", modes: [:ractor] do |mode|
    server = serve_sockets(mode)
    client = connect(server, "/talks?news")
    client.read
    ractor = Kino::Topology.ractor(name: "publisher") { Kino.publish("news", "from a Ractor") }
    assert_equal "from a Ractor", client.read
    ractor.respond_to?(:value) ? ractor.value : ractor.take
  end

  def test_websockets_can_be_turned_off
    server = serve_sockets(:threaded, websockets: false)
    Client.open(server.port) { |client| assert_equal "no: nil", client.get("/echo", headers: WebSocketClient::HEADERS).body }
  end

  # Counts the messages of its connection.
  class Counter
    def initialize(at)
      @count = 0
      @at = at
    end

    def on_message(client, _data)
      client.write((@count += 1).to_s)
    end

    def on_close(_client)
      @at.syswrite(".")
    end
  end

  def test_in_threads_a_handler_may_be_an_object_of_its_own
    reader, writer = IO.pipe
    app = lambda do |env|
      env["rack.upgrade"] = Counter.new(writer)
      [200, {}, []]
    end
    server = start_server(app, mode: :threaded, workers: 2)
    before = Kino::WebSockets::Handlers.count
    clients = Array.new(3) { connect(server, "/") }
    clients.each { |client| client.send_text("a").send_text("b") }
    clients.each { |client| assert_equal %w[1 2], [client.read, client.read] }
    assert_equal before + 3, Kino::WebSockets::Handlers.count
    clients.each(&:close)
    3.times { reader.readpartial(1) }
    eventually("handlers are dropped") { Kino::WebSockets::Handlers.count == before }
  ensure
    [reader, writer].each(&:close)
  end

  # Has an unshareable handler, which in Ractors nothing can keep.
  class Unshareable
    def call(env)
      env["rack.upgrade"] = Object.new
      [200, {}, []]
    end
  end

  def test_in_ractors_a_handler_must_be_shareable
    server = serve(Unshareable.new, :ractor, lint: false)
    log = logged { assert_equal 500, connect(server, "/").response.status }
    assert_match(/not shareable \(Object\)/, log)
  end

  # A frozen handler keeps what it knows of its client.
  class Frozen
    def initialize(name)
      @name = name
      freeze
    end

    def on_message(client, _data)
      client.write(@name)
    end
  end

  # Gives each client a handler of its own.
  class Named
    def call(env)
      env["rack.upgrade"] = Frozen.new(env["QUERY_STRING"].dup.freeze)
      [200, {}, []]
    end
  end

  test "a frozen handler may belong to one client" do |mode|
    server = serve(Named.new, mode, lint: false, workers: 4)
    clients = %w[ann bob].to_h { |name| [name, connect(server, "/?#{name}")] }
    5.times do
      GC.start
      clients.each do |name, client|
        client.send_text("who?")
        assert_equal name, client.read
      end
    end
  end
end
