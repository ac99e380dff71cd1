# frozen_string_literal: true

require "json"
require "open3"

require_relative "support/server_test"

# WebSockets with the clients of others: Node's own, its package ws, and the gems faye-websocket and async-websocket. Each has
# the same conversation with the native server: a text, bytes, a message of many frames, and an end; ws compresses. faye-websocket
# is also a server, on a hijacked connection.
class WebSocketClientsTest < ServerTest
  TEXT = "héllo"
  BYTES = (0..255).to_a.pack("C*").freeze
  LARGE = "0123456789" * 30_000
  # What a client sees of all that; `brief` makes it readable.
  SEEN = ["second", "open", TEXT, "bytes", "large"].freeze

  module Echo
    def self.on_open(client)
      client.write("open")
    end

    def self.on_message(client, data)
      data == "close" ? client.close : client.write(data)
    end
  end

  module App
    def self.call(env)
      return [200, {}, []] unless env["rack.upgrade?"] == :websocket

      env["rack.upgrade"] = Echo
      [200, { "sec-websocket-protocol" => "second" }, []]
    end
  end

  # Prints what each message is, and how the connection ended.
  NODE = <<~JS
    const [url, kind, large] = process.argv.slice(1);
    const Client = kind === 'ws' ? require('ws').WebSocket : WebSocket;
    const seen = [];
    const client = new Client(url, ['first', 'second']);
    client.binaryType = 'arraybuffer';
    const send = [
      () => client.send('héllo'),
      () => client.send(Uint8Array.from({ length: 256 }, (_, i) => i)),
      () => client.send('0123456789'.repeat(Number(large))),
      () => client.close(1000, 'bye'),
    ];
    let extensions;
    client.onopen = () => { seen.push(client.protocol); extensions = client.extensions; };
    client.onmessage = ({ data }) => {
      seen.push(typeof data === 'string' ? data : [...new Uint8Array(data)]);
      send.shift()();
    };
    client.onerror = (event) => { console.log(JSON.stringify({ error: String(event.message ?? event.error) })); process.exit(1); };
    client.onclose = ({ code, wasClean }) => console.log(JSON.stringify({ seen, code, wasClean, extensions }));
    setTimeout(() => process.exit(1), #{LIMIT * 1000}).unref();
  JS

  def need(*libraries)
    libraries.each { |library| require library }
  rescue LoadError
    skip "the gem of #{libraries.first} is not installed"
  end

  # The options with which Node has what the expression needs.
  def node_with(expression)
    [[], ["--experimental-websocket"]].find do |options|
      Open3.capture2e("node", *options, "-e", expression).last.success?
    rescue Errno::ENOENT
      skip "Node is not installed"
    end
  end

  def brief(seen)
    seen.map { |one| { BYTES => "bytes", BYTES.bytes => "bytes", LARGE => "large" }.fetch(one, one) }
  end

  def serve_echo(mode)
    serve(App, mode, lint: false)
  end

  def assert_node_talks(kind, options, mode)
    server = serve_echo(mode)
    output, status = Open3.capture2e("node", *options, "-e", NODE, "ws://127.0.0.1:#{server.port}/", kind, (LARGE.size / 10).to_s)
    assert status.success?, output
    said = JSON.parse(output.lines.last)
    assert_equal SEEN, brief(said["seen"] || [said["error"]])
    assert_equal [1000, true], said.values_at("code", "wasClean")
    assert_healthy(server)
    said["extensions"]
  end

  test "Node's own client" do |mode|
    options = node_with("process.exit(typeof WebSocket === 'function' ? 0 : 1)") or skip "this version of Node has no WebSocket"
    assert_node_talks("own", options, mode)
  end

  test "Node's package ws" do |mode|
    node_with("require('ws')") or skip "Node's package ws is not installed (npm install ws, and NODE_PATH)"
    extensions = assert_node_talks("ws", [], mode)
    assert_equal Kino::Native.settings({}).fetch(:websocket_compression), extensions.include?("permessage-deflate")
  end

  # Its connections live in EventMachine's thread. Returns what the client has seen.
  def faye_talks(port)
    ended = Thread::Queue.new
    EventMachine.schedule do
      seen = []
      to_send = [TEXT, BYTES.bytes, LARGE]
      client = Faye::WebSocket::Client.new("ws://127.0.0.1:#{port}/", %w[first second])
      client.on(:message) do |event|
        seen << event.data
        to_send.empty? ? client.close(1000) : client.send(to_send.shift)
      end
      client.on(:close) { |event| ended << [client.protocol, *seen, event.code] }
    end
    ended.pop
  end

  def with_faye
    need "faye/websocket", "eventmachine"
    running = Thread.new { EventMachine.run }
    eventually("EventMachine runs") { EventMachine.reactor_running? }
    yield
  ensure
    EventMachine.stop if running && EventMachine.reactor_running?
    running&.join
  end

  test "faye-websocket as a client" do |mode|
    with_faye do
      server = serve_echo(mode)
      assert_equal [*SEEN, 1000], brief(faye_talks(server.port))
      assert_healthy(server)
    end
  end

  def test_faye_websocket_as_a_server_on_a_hijacked_connection
    app = lambda do |env|
      next [200, {}, []] unless Faye::WebSocket.websocket?(env)

      socket = Faye::WebSocket.new(env, %w[second])
      socket.on(:open) { socket.send("open") }
      socket.on(:message) { |event| socket.send(event.data) }
      socket.rack_response
    end
    with_faye do
      server = start_server(app, mode: :threaded, workers: 1, threads: 2)
      log = logged do
        assert_equal [*SEEN, 1000], brief(faye_talks(server.port))
        assert_healthy(server)
      end
      assert_empty log
    end
  end

  test "async-websocket as a client" do |mode|
    need "async/websocket/client", "async/http/endpoint"
    server = serve_echo(mode)
    endpoint = Async::HTTP::Endpoint.parse("http://127.0.0.1:#{server.port}/")
    Async do
      Async::WebSocket::Client.connect(endpoint, protocols: %w[first second]) do |connection|
        assert_equal "open", connection.read.to_str
        connection.send_text(TEXT)
        assert_equal TEXT, connection.read.to_str
        connection.send_binary(BYTES)
        assert_equal BYTES, connection.read.to_str
        connection.send_text(LARGE)
        assert_equal LARGE, connection.read.to_str
        connection.send_text("close")
        connection.flush
        assert_nil connection.read
      end
    end.wait
    assert_healthy(server)
  end
end
