# frozen_string_literal: true

require "open3"

require_relative "support/bodies"
require_relative "support/server_test"

# The optional keys of Rack's env that concern the response: rack.early_hints, and rack.after_reply, which Puma has.
class EarlyHintsTest < ServerTest
  class App < Apps::Basic
    def hints(env)
      env["rack.early_hints"].call("link" => ["</a.css>; rel=preload", "</b.js>; rel=preload"], "x-some" => "1")
      env["rack.early_hints"].call("link" => "</c.css>")
      Gate.enter(env["QUERY_STRING"]) if env["QUERY_STRING"].include?("arrive=")
      Apps.text("body")
    end

    # As Rails has several values.
    def lines(env)
      env["rack.early_hints"].call("link" => "</c.css>\n</d.css>")
      Apps.text("body")
    end

    def wrong(env)
      env["rack.early_hints"].call("link" => "a\rb")
    rescue StandardError => e
      Apps.text("#{e.class}: #{e.message}")
    end

    def other_thread(env)
      Apps.text(Thread.new { env["rack.early_hints"].call({}) rescue "#{$!.class}: #{$!.message}" }.value)
    end

    def keys(env)
      Apps.text(env.keys.grep(/\Arack\./).sort.join(" "))
    end

    def after(env)
      query = env["QUERY_STRING"]
      env["rack.after_reply"] << -> { Gate.arrive(query) } << proc { Gate.arrive(query) } << proc { raise "a callback broke" }
      env["rack.response_finished"] << proc { |_env, status| Gate.arrive(query) if status == 200 }
      Apps.text("body")
    end
  end

  def curl(server, path)
    output, error, status = Open3.capture3("curl", "-sS", "-m", "30", "-D", "-", "--http2-prior-knowledge", "http://127.0.0.1:#{server.port}#{path}")
    assert status.success?, error
    output
  rescue Errno::ENOENT
    skip "curl is not installed"
  end

  LINKS = ["</a.css>; rel=preload", "</b.js>; rel=preload"].freeze

  covers :early_hints
  test "a client of HTTP/1.1 gets hints before the response, if early_hints is on" do |mode|
    server = serve(App.new, mode, early_hints: true)
    Client.open(server.port) do |client|
      2.times do
        held = gate
        client.send_request("GET", "/hints?#{held.query}")
        held.await
        head = client.read_head
        assert_equal [103, LINKS, "1", nil], [head.status, head.all("link"), head["x-some"], head["content-length"]]
        assert_equal [103, %w[</c.css>]], client.read_head.then { |second| [second.status, second.all("link")] }
        held.pass
        assert_equal [200, "body"], client.read_response.then { |response| [response.status, response.body] }
      end
      assert_match(/RuntimeError: kino: rack.early_hints has to be called by the thread that handles the request/, client.get("/other-thread").body)
      refute_includes client.get("/keys", version: "HTTP/1.0").body, "early_hints"
    end
  end

  test "hints are checked like headers, and several values may be lines" do |mode|
    server = serve(App.new, mode, early_hints: true, lint: false)
    Client.open(server.port) do |client|
      assert_match(/ArgumentError: .*control character/, client.get("/wrong").body)
      client.send_request("GET", "/lines")
      assert_equal [103, %w[</c.css> </d.css>]], client.read_head.then { |hints| [hints.status, hints.all("link")] }
      assert_equal "body", client.read_response.body
    end
  end

  test "HTTP/2 has hints, and HTTP/1.1 has none by default" do |mode|
    server = serve(App.new, mode)
    Client.open(server.port) { |client| refute_includes client.get("/keys").body, "early_hints" }
    assert_match(%r{\AHTTP/2 103 .*link: </a.css>; rel=preload\r\nlink: </b.js>; rel=preload\r\nx-some: 1\r\n\r\nHTTP/2 103 .*HTTP/2 200 .*body\z}m,
                 curl(server, "/hints"))
  end

  test "the env has all optional keys at once" do |mode|
    server = serve(App.new, mode, early_hints: true)
    Client.open(server.port) do |client|
      expected = %w[after_reply early_hints errors hijack hijack? input protocol response_finished url_scheme].map { |key| "rack.#{key}" }
      assert_equal expected, client.get("/keys", headers: { "Connection" => "upgrade", "Upgrade" => "x" }).body.split & expected
    end
  end

  test "callbacks without parameters are Puma's" do |mode|
    server = serve(App.new, mode, workers: 1)
    done = gate
    log = logged do
      Client.open(server.port) { |client| assert_equal "body", client.get("/after?#{done.query}").body }
      done.await(3)
      assert_healthy(server)
    end
    assert_match(/a callback broke/, log)
  end
end
