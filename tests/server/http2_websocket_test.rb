# frozen_string_literal: true

require_relative "support/browser"
require_relative "support/http2_node"
require_relative "support/tls"

# WebSockets over HTTP/2: Node's client of HTTP/2 with frames of its own, and a browser.
class HTTP2WebSocketTest < TLSServerTest
  include Browser
  include HTTP2Node

  module Echo
    def self.on_open(client)
      client.write("open #{client.env["SERVER_PROTOCOL"]} #{client.env["REQUEST_METHOD"]}")
    end

    def self.on_message(client, data)
      Gate.arrive(data.split.last) if data.start_with?("HTTP/2 ")
      data == "close" ? client.close : client.write(data)
    end

    def self.on_shutdown(client)
      client.write("bye")
    end
  end

  class App < Apps::Basic
    def socket(env)
      return Apps.text("no: #{env["rack.upgrade?"].inspect}") unless env["rack.upgrade?"] == :websocket
      return Apps.text("not you", 403) if env["QUERY_STRING"] == "refuse"

      env["rack.upgrade"] = Echo
      [200, { "x-greeting" => "hi", "content-length" => "0" }, []]
    end

    # Says back what protocol the WebSocket has.
    def page(env)
      [200, { "content-type" => "text/html" }, [<<~HTML]]
        <script>
          const socket = new WebSocket("wss://" + location.host + "/socket");
          socket.onmessage = ({ data }) => { if (data.startsWith("open")) socket.send(data.split(" ")[1] + " " + "x".repeat(5000) + " #{env["QUERY_STRING"]}"); };
        </script>
      HTML
    end
  end

  # Opens so many WebSockets. Each line of its input is a message: the number of a WebSocket, and what to send.
  NODE = <<~JS
    const [count, query] = words;
    const frame = (kind, data) => {
      const payload = Buffer.from(data);
      const head = payload.length < 126 ? [0x80 | kind, 0x80 | payload.length] : [0x80 | kind, 0xfe, payload.length >> 8, payload.length & 255];
      return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), payload]);
    };
    const open = (i) => {
      const stream = connection.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/socket' + (query ?? ''), 'sec-websocket-version': '13' },
                                        { endStream: false });
      let got = Buffer.alloc(0);
      stream.on('response', (head) => say({ i, status: head[':status'], greeting: head['x-greeting'], length: head['content-length'] }));
      stream.on('data', (data) => {
        got = Buffer.concat([got, data]);
        while (got.length >= 2) {
          const width = got[1] === 126 ? 2 : got[1] === 127 ? 8 : 0;
          if (got.length < 2 + width) return;
          const length = width === 2 ? got.readUInt16BE(2) : width === 8 ? Number(got.readBigUInt64BE(2)) : got[1];
          if (got.length < 2 + width + length) return;
          const payload = got.subarray(2 + width, 2 + width + length);
          if ((got[0] & 15) === 8) { say({ i, code: payload.readUInt16BE(0) }); stream.end(frame(8, payload)); }
          else say({ i, data: payload.toString() });
          got = got.subarray(2 + width + length);
        }
      });
      stream.on('error', () => {});
      stream.on('close', () => say({ i, closed: stream.rstCode }));
      streams.push(stream);
    };
    connection.on('remoteSettings', (settings) => {
      say({ offered: settings.enableConnectProtocol ?? false });
      if (settings.enableConnectProtocol) for (let i = 0; i < Number(count); ++i) open(i);
    });
    const told = (line) => {
      const [i, ...said] = line.split(' ');
      if (said[0] === 'reset') streams[i].close(8);
      else streams[i].write(frame(1, said.join(' ')));
    };
  JS

  def setup
    super
    skip "the server is built without WebSockets" unless Kino::Native.settings({}).fetch(:websockets)
  end

  covers :http2_websockets
  test "WebSockets share a connection, and end one by one" do |mode|
    [serve(App.new, mode, lint: false, http2_websockets: true), serve_tls(App.new, mode, lint: false, http2_websockets: true)].each do |server|
      with_node(server, NODE, "20") do |node|
        heads = node.take(20) { |line| line["status"] }
        assert_equal [[200, "hi", nil]], heads.map { |line| line.values_at("status", "greeting", "length") }.uniq
        assert_equal 20, node.take(20) { |line| line["data"] == "open HTTP/2 GET" }.map { |line| line["i"] }.uniq.size
        assert_equal 20, server.stats[:websockets]
        long = "grüße " * 2000
        # Node reads no more while its output waits.
        Thread.new { 20.times { |i| node.input.puts("#{i} #{long}#{i}") } }
        assert_equal (0...20).map { |i| "#{long}#{i}" }.sort, node.take(20) { |line| line["data"] }.map { |line| line["data"] }.sort
        5.times { |i| node.input.puts("#{i} reset") }
        5.times { |i| node.input.puts("#{i + 5} close") }
        assert_equal [1000] * 5, node.take(5) { |line| line["code"] }.map { |line| line["code"] }
        eventually("ten are forgotten") { server.stats[:websockets] == 10 }
        stopping = Thread.new { server.shutdown }
        assert_equal [1001] * 10, node.take(10) { |line| line["code"] }.map { |line| line["code"] }
        assert stopping.value, "no event was cut off"
      end
    end
  end

  test "an app may refuse, and a server that does not offer them does not say so" do |mode|
    with_node(serve(App.new, mode, lint: false, http2_websockets: true), NODE, "1", "?refuse") do |node|
      assert_equal 403, node.take(1) { |line| line["status"] }.first["status"]
    end
    [{}, { http2_websockets: true, websockets: false }].each do |options|
      with_node(serve(App.new, mode, lint: false, **options), NODE, "1") do |node|
        assert_equal false, node.take(1) { |line| line.key?("offered") }.first["offered"]
      end
    end
  end

  def test_a_browser_uses_the_connection_of_its_page
    need_browser
    server = serve_tls(App.new, :ractor, lint: false, http2_websockets: true)
    at = gate
    browse("https://127.0.0.1:#{server.port}/page?#{at.query}", "--ignore-certificate-errors")
    eventually("the WebSocket is open over HTTP/2", seconds: 60) { at.arrived? }
  end
end
