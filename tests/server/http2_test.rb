# frozen_string_literal: true

require "open3"

require_relative "support/bodies"
require_relative "support/tls"

# HTTP/2 through Rack, with the clients that people use: curl, nghttp, h2load and Node, with TLS and without.
class HTTP2Test < TLSServerTest
  # What only HTTP/2 makes visible, or easy to get wrong.
  class App < Apps::Basic
    def stream(env)
      count = env["QUERY_STRING"].to_i
      [200, { "content-type" => "text/plain" }, Ractor.make_shareable(Numbers.new(count))]
    end

    def grpc_like(_env)
      [200, { "content-type" => "application/grpc" }, Status.new]
    end

    # One that raises in the middle of a stream.
    def broken(_env)
      [200, { "content-type" => "text/plain" }, Broken.new]
    end

    def upper(_env)
      [200, { "content-type" => "text/plain", "x-some" => %w[one two] }, ["upper"]]
    end
  end

  class Numbers
    def initialize(count)
      @count = count
    end

    def each
      @count.times { |number| yield "#{number}\n" }
    end
  end

  class Status
    def each
      yield "message"
    end

    def trailers
      { "grpc-status" => "0", "grpc-message" => "fine" }
    end
  end

  class Broken
    def each
      yield "some"
      raise "it broke"
    end
  end

  def run_tool(*command, input: nil)
    Open3.capture3(*command, stdin_data: input, binmode: true)
  rescue Errno::ENOENT
    skip "there is no #{command.first}"
  end

  def curl(server, path, *more, input: nil)
    scheme = server.url[/\Ahttps?/]
    version = scheme == "https" ? %w[--http2 -k] : %w[--http2-prior-knowledge]
    output, error, status = run_tool("curl", "-sS", "-m", "30", *version, *more, "#{scheme}://127.0.0.1:#{server.port}#{path}", input: input)
    assert status.success?, error
    output
  end

  # Both ways in which a client gets to HTTP/2.
  def each_server(mode, **options)
    yield serve(App.new, mode, **options)
    yield serve_tls(App.new, mode, **options)
  end

  covers :http2
  test "requests of curl, as the app sees them" do |mode|
    each_server(mode) do |server|
      env = curl(server, "/env?a=1", "-H", "Cookie: a=1", "-H", "Cookie: b=2", "-H", "Host: server.example:81").lines.to_h { |line| line.chomp.split("=", 2) }
      assert_equal %w[HTTP/2 GET a=1 server.example 81 server.example:81],
                   env.values_at("SERVER_PROTOCOL", "REQUEST_METHOD", "QUERY_STRING", "SERVER_NAME", "SERVER_PORT", "HTTP_HOST")
      assert_equal server.url[/\Ahttps?/], env["rack.url_scheme"]
      assert_equal "a=1; b=2", env["HTTP_COOKIE"]
      assert_equal "2", curl(server, "/", "-o", "/dev/null", "-w", "%{http_version}")
    end
    server = serve(App.new, mode, http2: false)
    _, error, status = run_tool("curl", "-sS", "-m", "5", "--http2-prior-knowledge", "http://127.0.0.1:#{server.port}/")
    refute status.success?, error
    Client.open(server.port) { |client| assert_equal 200, client.get("/").status }
  end

  test "bodies of many sizes, both ways" do |mode|
    random = Random.new(1)
    each_server(mode) do |server|
      [0, 1, 16_383, 16_384, 65_535, 65_536, 300_000, 5_000_000].each do |size|
        body = random.bytes(size)
        assert_equal body, curl(server, "/echo", "--data-binary", "@-", input: body).b, size
      end
    end
  end

  test "a body that the app reads as it arrives" do |mode|
    each_server(mode, stream_body: ["/"]) do |server|
      body = Random.new(2).bytes(3_000_000)
      assert_equal "#{body.bytesize} #{body.sum(32)}", curl(server, "/digest", "--data-binary", "@-", input: body)
      # The client may get the response before it has sent its body.
      File.binwrite(File.join(directory, "body"), body)
      output, = run_tool("nghttp", "-d", File.join(directory, "body"), "#{server.url}/ignore")
      assert_equal "ignored", output
    end
  end

  test "streamed responses, trailers, and repeated fields" do |mode|
    each_server(mode) do |server|
      assert_equal (0...50_000).map { |number| "#{number}\n" }.join, curl(server, "/stream?50000")
      assert_match(/^x-some: one\r\nx-some: two\r$/, curl(server, "/upper", "-i"))
      head = curl(server, "/", "-I")
      assert_match(/^content-length: 5\r$/, head)
    end
    server = serve(App.new, mode, lint: false)
    output, = run_tool("nghttp", "-nv", "http://127.0.0.1:#{server.port}/grpc-like")
    assert_match(/grpc-status: 0/, output)
    assert_match(/grpc-message: fine/, output)
  end

  test "a response that breaks looks broken, and the connection goes on" do |mode|
    server = serve(App.new, mode, lint: false)
    base = "http://127.0.0.1:#{server.port}"
    log = logged do
      _, error, status = run_tool("curl", "-sS", "-m", "20", "--http2-prior-knowledge", "#{base}/broken")
      refute status.success?
      assert_match(/stream|HTTP\/2/i, error)
      output, = run_tool("nghttp", "-v", "#{base}/broken", "#{base}/")
      assert_match(/RST_STREAM.*INTERNAL_ERROR/m, output)
      assert_match(/^hello/, output)
    end
    assert_includes log, "it broke"
  end

  test "many requests at once, none is lost" do |mode|
    each_server(mode, workers: 4) do |server|
      output, error, = run_tool("h2load", "-n", "2000", "-c", "4", "-m", "20", "#{server.url}/")
      assert_match(/2000 succeeded, 0 failed, 0 errored/, output, error)
      assert_equal "hello", curl(server, "/")
    end
  end

  covers :max_concurrent_streams
  def test_a_client_is_told_how_many_requests_it_may_have_unanswered
    { { max_concurrent_streams: 7 } => 7, { queue_depth: 3 } => 3, {} => 100 }.each do |options, told|
      server = serve(App.new, :threaded, **{ max_concurrent_streams: 100 }.merge(options))
      output, = run_tool("nghttp", "-nv", "http://127.0.0.1:#{server.port}/")
      assert_includes output, "recv SETTINGS", output
      assert_match(/recv SETTINGS.*?MAX_CONCURRENT_STREAMS\(0x03\):#{told}\]/m, output)
    end
  end

  def test_node
    each_server(:threaded) do |server|
      script = <<~JS
        const client = require('http2').connect('#{server.url}', { rejectUnauthorized: false });
        const request = client.request({ ':method': 'POST', ':path': '/echo' });
        let body = '';
        request.on('data', (data) => body += data);
        request.on('end', () => { console.log(body); client.close(); });
        request.end('from node');
      JS
      output, error, = run_tool("node", "-e", script)
      assert_equal "from node\n", output, error
    end
  end

  test "a server that shuts down answers what it has, and says so" do |mode|
    held = gate
    server = serve(App.new, mode)
    asking = Thread.new { curl(server, "/hold?#{held.query}") }
    held.await
    stopping = Thread.new { server.shutdown(timeout: 20) }
    eventually("the server no longer accepts") { refused?(server.port) }
    held.open
    assert_equal "held", asking.value
    stopping.join
  end

  def refused?(port)
    TCPSocket.new("127.0.0.1", port).close
    false
  rescue Errno::ECONNREFUSED
    true
  end
end
