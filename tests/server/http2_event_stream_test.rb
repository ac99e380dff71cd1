# frozen_string_literal: true

require "json"
require "open3"

require_relative "support/tls"

# Event streams over HTTP/2: each is a stream of a connection that has others.
class HTTP2EventStreamTest < TLSServerTest
  BROWSER = %w[chromium chromium-browser google-chrome].find do |command|
    Open3.capture2e(command, "--version").last.success?
  rescue Errno::ENOENT
    false
  end

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

  # One connection with so many event streams. Does what each line of its input says, and prints what comes as lines of JSON.
  NODE = <<~JS
    const [url, count] = process.argv.slice(1);
    const say = (what) => console.log(JSON.stringify(what));
    process.stdout.on('error', () => process.exit());
    const connection = require('http2').connect(url, { rejectUnauthorized: false });
    connection.on('error', (error) => say({ error: String(error) }));
    const streams = [];
    for (let i = 0; i < Number(count); ++i) {
      const stream = connection.request({ ':path': '/events', accept: 'text/event-stream' });
      stream.setEncoding('utf8');
      stream.on('response', (head) => say({ i, status: head[':status'], type: head['content-type'], length: head['content-length'] }));
      stream.on('data', (data) => say({ i, data }));
      stream.on('error', () => {});
      stream.on('close', () => say({ i, closed: stream.rstCode }));
      streams.push(stream);
    }
    require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
      const [what, i] = line.split(' ');
      if (what === 'reset') streams[i].close(8);
      if (what === 'get') {
        let body = '';
        const stream = connection.request({ ':path': '/' });
        stream.on('data', (data) => body += data);
        stream.on('end', () => say({ body }));
      }
    }).on('close', () => process.exit());
    setTimeout(() => process.exit(1), #{LIMIT * 1000}).unref();
  JS

  # The lines that a client prints, and what to tell it.
  Talk = Struct.new(:input, :output) do
    # All until those are there for which the block holds; returns these.
    def take(count, &wanted)
      found = []
      found.concat([JSON.parse(output.gets || raise("Node has ended"))].select(&wanted)) while found.size < count
      found
    end
  end

  def with_node(url, count)
    Open3.popen2("node", "-e", NODE, url, count.to_s) do |input, output, _|
      yield Talk.new(input, output)
      input.close
    end
  rescue Errno::ENOENT
    skip "Node is not installed"
  end

  test "streams share a connection with requests, and end one by one" do |mode|
    [serve(App.new, mode, lint: false), serve_tls(App.new, mode, lint: false)].each do |server|
      with_node("#{server.url[/\Ahttps?/]}://127.0.0.1:#{server.port}", 30) do |node|
        heads = node.take(30) { |line| line["status"] }
        assert_equal [[200, "text/event-stream", nil]], heads.map { |line| line.values_at("status", "type", "length") }.uniq
        eventually("all have subscribed") { server.stats[:websocket_events] >= 30 }
        assert_equal 30, server.stats[:websockets]
        assert_equal 0, server.stats[:in_flight]
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
    with_node("http://127.0.0.1:#{server.port}", 20) do |node|
      node.take(20) { |line| line["status"] }
      eventually("all are open") { server.stats[:websockets] == 20 }
    end
    eventually("all are forgotten") { server.stats[:websockets].zero? && server.stats[:connections].zero? }
    assert_equal 0, Kino.publish("news", "nobody is there")
  end

  def test_a_browser_comes_again_over_the_same_protocol
    skip "no chromium is installed" unless BROWSER
    server = serve_tls(App.new, :ractor, lint: false)
    at = gate
    page = Process.spawn(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--ignore-certificate-errors",
                         "--user-data-dir=#{directory}", "--remote-debugging-port=0", "https://127.0.0.1:#{server.port}/page?#{at.query}",
                         out: File::NULL, err: File::NULL, pgroup: true)
    eventually("it comes again", seconds: 60) { at.arrived? }
  ensure
    if page
      Process.kill(:KILL, -page)
      Process.wait(page)
    end
  end
end
