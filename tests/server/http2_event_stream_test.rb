# frozen_string_literal: true

require "open3"

require_relative "support/browser"
require_relative "support/http2_node"
require_relative "support/tls"

# Event streams over HTTP/2: each is a stream of a connection that has others.
class HTTP2EventStreamTest < TLSServerTest
  include Browser
  include HTTP2Node

  module Feed
    def self.on_open(client)
      query = client.env["QUERY_STRING"]
      client.subscribe("news")
      client.write("open #{client.env["SERVER_PROTOCOL"]}", id: 7, retry: 0.1)
      Gate.arrive(query) if query.include?("again") && client.env["HTTP_LAST_EVENT_ID"] == "7" && client.env["SERVER_PROTOCOL"] == "HTTP/2"
      client.close if query.include?("close")
    end

    def self.on_shutdown(client)
      client.write("bye")
    end
  end

  class App < Apps::Basic
    def events(env)
      return Apps.text("no: #{env["rack.upgrade?"].inspect}") unless env["rack.upgrade?"]

      env["rack.upgrade"] = Feed
      [200, { "x-greeting" => "hi", "content-length" => "0" }, []]
    end

    def page(env)
      source = "/events?close&again&#{env["QUERY_STRING"]}"
      [200, { "content-type" => "text/html" }, ["<script>new EventSource(#{source.dump})</script>"]]
    end
  end

  # Opens so many event streams.
  NODE = <<~JS
    for (let i = 0; i < Number(words[0]); ++i) {
      const stream = connection.request({ ':path': '/events', accept: 'text/event-stream' });
      stream.setEncoding('utf8');
      stream.on('response', (head) => say({ i, status: head[':status'], type: head['content-type'], length: head['content-length'] }));
      stream.on('data', (data) => say({ i, data }));
      stream.on('error', () => {});
      stream.on('close', () => say({ i, closed: stream.rstCode }));
      streams.push(stream);
    }
    const told = (line) => {
      const [what, i] = line.split(' ');
      if (what === 'reset') streams[i].close(8);
      if (what === 'get') {
        let body = '';
        const stream = connection.request({ ':path': '/' });
        stream.on('data', (data) => body += data);
        stream.on('end', () => say({ body }));
      }
    };
  JS

  test "streams share a connection with requests, and end one by one" do |mode|
    [serve(App.new, mode, lint: false), serve_tls(App.new, mode, lint: false)].each do |server|
      with_node(server, NODE, "30") do |node|
        heads = node.take(30) { |line| line["status"] }
        assert_equal [[200, "text/event-stream", nil]], heads.map { |line| line.values_at("status", "type", "length") }.uniq
        # Each has subscribed before it writes.
        assert_equal 30, node.take(30) { |line| line["data"]&.include?("data: open HTTP/2\n\n") }.map { |line| line["i"] }.uniq.size
        assert_equal 30, server.stats[:websockets]
        eventually("no worker is held") { server.stats[:in_flight].zero? }
        assert_equal 30, Kino.publish("news", "grüße")
        assert_equal 30, node.take(30) { |line| line["data"]&.include?("data: grüße\n\n") }.map { |line| line["i"] }.uniq.size
        10.times { |i| node.input.puts("reset #{i}") }
        eventually("ten are forgotten") { server.stats[:websockets] == 20 }
        assert_equal 20, Kino.publish("news", "again")
        assert_equal (10...30).to_a, node.take(20) { |line| line["data"]&.include?("again") }.map { |line| line["i"] }.sort
        node.input.puts("get")
        assert_equal "hello", node.take(1) { |line| line["body"] }.first["body"]
        stopping = Thread.new { server.shutdown }
        ended = node.take(20) { |line| line.key?("closed") && line["i"] >= 10 }
        assert_equal [0], ended.map { |line| line["closed"] }.uniq
        assert stopping.value, "no event was cut off"
      end
    end
  end

  test "curl reads a stream to its end" do |mode|
    server = serve(App.new, mode, lint: false)
    out, status = Open3.capture2("curl", "-sN", "-m", "20", "--http2-prior-knowledge", "-H", "Accept: text/event-stream",
                                 "http://127.0.0.1:#{server.port}/events?close")
    assert_predicate status, :success?
    assert_equal "id: 7\nretry: 100\ndata: open HTTP/2\n\n", out
    assert_healthy server
  end

  test "clients that vanish are forgotten" do |mode|
    server = serve(App.new, mode, lint: false)
    with_node(server, NODE, "20") do |node|
      node.take(20) { |line| line["status"] }
      eventually("all are open") { server.stats[:websockets] == 20 }
    end
    eventually("all are forgotten") { server.stats[:websockets].zero? && server.stats[:connections].zero? }
    assert_equal 0, Kino.publish("news", "nobody is there")
  end

  def test_a_browser_comes_again_over_the_same_protocol
    need_browser
    server = serve_tls(App.new, :ractor, lint: false)
    at = gate
    browse("https://127.0.0.1:#{server.port}/page?#{at.query}", "--ignore-certificate-errors")
    eventually("it comes again", seconds: 60) { at.arrived? }
  end
end
