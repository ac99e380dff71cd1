# frozen_string_literal: true

require "open3"
require "rack"

require_relative "support/browser"
require_relative "support/server_test"

# Event streams, whose handlers are called by workers.
class EventStreamTest < ServerTest
  include Browser

  ACCEPT = { "Accept" => "text/event-stream" }.freeze

  # Reads events as an EventSource does.
  class Source
    Event = Struct.new(:type, :data, :id, :retry)

    attr_reader :response, :http

    def initialize(port, path, headers: {}, version: "HTTP/1.1")
      @http = Client.new(port)
      @http.send_request("GET", path, headers: ACCEPT.merge(headers), version: version)
      @response = @http.read_head
    end

    # The next event; nil at the end of the stream. Comments are skipped.
    def read
      event = Event.new
      data = []
      until (line = read_line).empty?
        field, value = line.split(/: ?/, 2)
        case field
        when "data" then data << value
        when "event" then event.type = value
        when "id", "retry" then event[field] = value
        when "" then next
        else raise Client::Malformed, "line #{line.inspect}"
        end
      end
      return read if data.empty?

      event.data = data.join("\n").force_encoding(Encoding::UTF_8)
      event
    rescue EOFError
      nil
    end

    def read_line
      line = +""
      line << @http.read_exactly(1) until line.end_with?("\n")
      line.chomp
    end

    def close
      @http.close
    end
  end

  # Does what its query says.
  module Feed
    def self.on_open(client)
      query = client.env["QUERY_STRING"]
      client.subscribe("news") if query.include?("news")
      client.write("open #{client.env["HTTP_LAST_EVENT_ID"].inspect}\nline", event: "greeting", id: 7, retry: 1.5)
      Gate.arrive(query) if query.include?("again") && client.env["HTTP_LAST_EVENT_ID"] == "7"
      case query
      when /close/ then client.close
      when /raise/ then raise "as intended"
      when /flood/
        64.times { client.write("y" * 1_000_000) }
        Gate.arrive(query) if query.include?("arrive")
      when /binary/ then client.write("\xff".b)
      when /break/ then client.write("x", event: "a\nb")
      when /control/ then client.write("x", id: "a\x01b")
      when /state/ then client.write([client.class, client.open?, client.pending, client.timeout, Ractor.shareable?(client)].inspect)
      end
    end

    def self.on_message(*)
      raise "nothing arrives from the client of an event stream"
    end

    def self.on_drained(client)
      client.write("drained")
    end

    def self.on_shutdown(client)
      client.write("shutdown")
    end

    def self.on_close(client)
      Gate.arrive(client.env["QUERY_STRING"]) if client.env["QUERY_STRING"].start_with?("end")
    end
  end

  # Offers events to requests that ask for them.
  class App < Apps::Basic
    def events(env)
      return Apps.text("no: #{env["rack.upgrade?"].inspect}") unless env["rack.upgrade?"]

      env["rack.upgrade"] = Feed
      [200, { "x-greeting" => "hi", "set-cookie" => %w[a=1 b=2], "content-length" => "0", "Content-Encoding" => "gzip" }, []]
    end

    def page(env)
      source = "/events?close&again&#{env["QUERY_STRING"]}"
      [200, { "content-type" => "text/html" }, ["<script>new EventSource(#{source.dump})</script>"]]
    end

    def headers(env)
      env["rack.upgrade"] = Feed
      [202, { "Content-Type" => "text/event-stream; charset=utf-8", "cache-control" => "private" }, ["not sent"]]
    end

    def enough(env)
      env["rack.upgrade"] = Feed
      [204, {}, []]
    end
  end

  def listen(server, path = "/events", **options)
    source = Source.new(server.port, path, **options)
    (@sources ||= []) << source
    source
  end

  def serve_events(mode, **options)
    serve(App.new, mode, lint: false, **options)
  end

  def teardown
    @sources&.each(&:close)
    super
  end

  covers :event_streams
  test "a handler sends events to its client" do |mode|
    server = serve_events(mode, event_streams: true)
    source = listen(server, headers: { "Last-Event-ID" => "6" })
    response = source.response
    assert_equal [200, "text/event-stream", "no-cache", "close", "hi"],
                 [response.status, *%w[content-type cache-control connection x-greeting].map { |name| response[name] }]
    assert_equal %w[a=1 b=2], response.all("set-cookie")
    assert_equal [nil, nil, nil], [response["content-length"], response["transfer-encoding"], response["content-encoding"]]
    assert_equal Source::Event.new("greeting", "open \"6\"\nline", "7", "1500"), source.read
    assert_equal 1, server.stats[:websockets]
    source.close
    eventually("the stream is forgotten") { server.stats[:websockets].zero? }
    assert_healthy server
  end

  test "the headers of the app are kept, and the status is 200" do |mode|
    source = listen(serve_events(mode), "/headers")
    assert_equal [200, "text/event-stream; charset=utf-8", "private"],
                 [source.response.status, source.response["content-type"], source.response["cache-control"]]
    assert_match(/open nil/, source.read.data)
  end

  test "an open stream holds no worker, and what is published reaches all" do |mode|
    server = serve_events(mode, workers: 1)
    sources = Array.new(50) { listen(server, "/events?news") }
    sources.each(&:read)
    assert_equal 50, Kino.publish("news", "grüße\r\nan alle")
    sources.each { |source| assert_equal "grüße\nan alle", source.read.data }
    assert_equal 0, Kino.publish("news", "not text".b)
    assert_healthy server
  end

  test "only a GET that asks for events is offered them" do |mode|
    server = serve_events(mode)
    Client.open(server.port) do |client|
      assert_equal "no: nil", client.get("/events").body
      assert_equal "no: nil", client.get("/events", headers: { "Accept" => "*/*" }).body
      assert_equal "no: nil", client.request("POST", "/events", headers: ACCEPT, body: "x").body
      head = client.request("HEAD", "/events", headers: ACCEPT)
      assert_equal [200, "text/plain"], [head.status, head["content-type"]]
      assert_equal 204, client.get("/enough", headers: ACCEPT).status
      assert_equal "hello", client.get("/", headers: ACCEPT).body
    end
  end

  test "a client of HTTP/1.0 gets a stream, too" do |mode|
    source = listen(serve_events(mode), version: "HTTP/1.0")
    assert_match(/open/, source.read.data)
  end

  test "a handler closes its client, and an exception does" do |mode|
    server = serve_events(mode)
    source = listen(server, "/events?close")
    assert_equal ["greeting", nil], [source.read.type, source.read]
    log = logged do
      %w[raise binary break control].each do |word|
        source = listen(server, "/events?#{word}")
        assert_equal ["greeting", nil], [source.read.type, source.read]
      end
    end
    assert_match(/on_open of an event stream raised/, log)
    assert_match(/carries text/, log)
    assert_match(/event of an event must be text without line breaks/, log)
    assert_match(/id of an event must be text without control characters/, log)
    assert_healthy server
  end

  test "a client says what is known of its connection" do |mode|
    source = listen(serve_events(mode, websocket_ping_interval: 33), "/events?state")
    source.read
    assert_equal "[Kino::Native::EventStream, true, 0, 33.0, true]", source.read.data
  end

  test "a silent stream gets comments" do |mode|
    source = listen(serve_events(mode, websocket_ping_interval: 0.02))
    source.read
    assert_equal [":", "", ":", ""], Array.new(4) { source.read_line }
  end

  test "a client that does not read loses its connection" do |mode|
    server = serve_events(mode, max_websocket_pending: 100_000)
    log = logged do
      listen(server, "/events?flood")
      eventually("the stream is closed") { server.stats[:websocket_events].positive? && server.stats[:websockets].zero? }
    end
    assert_match(/client of an event stream does not read/, log)
    assert_healthy server
  end

  test "a slow client gets everything, and its handler learns when" do |mode|
    at = gate
    source = listen(serve_events(mode, max_websocket_pending: 100_000_000), "/events?flood&#{at.query}")
    at.await # nothing has been read
    source.read
    body = source.http.read_exactly(64 * 1_000_008)
    assert_equal "data: #{"y" * 1_000_000}\n\n" * 64, body
    assert_equal "drained", source.read.data
  end

  test "the end of a connection is an event, however it comes" do |mode|
    server = serve_events(mode)
    [:close, :reset, :close_write].each do |way|
      at = gate
      source = listen(server, "/events?end&#{at.query}")
      source.read
      source.http.public_send(way)
      at.await
    end
    assert_healthy server
  end

  test "a server that stops says so to handlers, ends the streams, and waits for the last event" do |mode|
    server = serve_events(mode)
    at = gate
    sources = Array.new(20) { listen(server, "/events?end&#{at.query}") }
    sources.each(&:read)
    stopping = Thread.new { server.shutdown }
    sources.each do |source|
      assert_equal ["shutdown", nil], [source.read.data, source.read]
      source.close
    end
    assert stopping.value, "no event was cut off"
    at.await(20)
  end

  test "a request sent ahead is not answered, and much more than that ends the stream" do |mode|
    server = serve_events(mode)
    source = listen(server)
    source.read
    source.http.send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    log = logged do
      begin
        source.http.send_raw("x" * 200_000)
      rescue Errno::EPIPE, Errno::ECONNRESET
        nil
      end
      eventually("the stream is closed") { server.stats[:websockets].zero? }
    end
    assert_match(/sends more than its request/, log)
    assert_healthy server
  end

  def test_event_streams_can_be_turned_off
    server = serve_events(:threaded, event_streams: false)
    Client.open(server.port) { |client| assert_equal "no: nil", client.get("/events", headers: ACCEPT).body }
  end

  def test_a_browser_comes_again_with_the_id_of_the_last_event
    need_browser
    server = serve_events(:ractor)
    at = gate
    browse("#{server.url}/page?#{at.query}")
    eventually("it comes again", seconds: 60) { at.arrived? }
  end

  test "curl reads a stream" do |mode|
    server = serve_events(mode)
    out, status = Open3.capture2("curl", "-sN", "-m", "20", "-H", "Accept: text/event-stream", "http://127.0.0.1:#{server.port}/events?close")
    assert_predicate status, :success?
    assert_equal "event: greeting\nid: 7\nretry: 1500\ndata: open nil\ndata: line\n\n", out
  end
end
