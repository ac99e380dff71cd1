# frozen_string_literal: true

require "net/http"
require "open3"

require_relative "support/bodies"
require_relative "support/tls"

# HTTPS, with the clients that people use. They are in the process of the server, too: Ruby's openssl next to BoringSSL.
class TLSTest < TLSServerTest
  covers :tls
  test "a request over TLS, as the app sees it" do |mode|
    server = serve_tls(Apps::Basic.new, mode, tls: @identity.write(directory))
    assert_equal "https://127.0.0.1:#{server.port}", server.url
    TLSClient.open(server.port, trust: @identity) do |client|
      env = env_of(client.get("/env", headers: { "Host" => "server.example" }))
      assert_equal %w[https on 443 server.example], env.values_at("rack.url_scheme", "HTTPS", "SERVER_PORT", "SERVER_NAME")
      assert_empty env.keys.grep(/\ASSL_/)
      assert_equal "8443", env_of(client.get("/env", headers: { "Host" => "a:8443" }))["SERVER_PORT"]
    end
  end

  test "bodies of many sizes, both ways, on one connection" do |mode|
    server = serve_tls(Apps::Basic.new, mode)
    random = Random.new(1)
    TLSClient.open(server.port, trust: @identity) do |client|
      [1, 100, 8191, 16_384, 16_385, 65_536, 300_000, 5_000_000].each do |size|
        body = random.bytes(size)
        assert_equal body, client.request("POST", "/echo", body: body).body.b, size
      end
      requests = 10.times.map { |n| "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n#{n.to_s * 20_000}" }
      client.send_raw(requests.join)
      10.times { |n| assert_equal n.to_s * 20_000, client.read_response.body }
    end
  end

  test "a body that its client sends in pieces of one byte" do |mode|
    server = serve_tls(Apps::Basic.new, mode)
    TLSClient.open(server.port) do |client|
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello".each_char { |byte| client.send_raw(byte) }
      assert_equal "hello", client.read_response.body
    end
  end

  def test_net_http
    server = serve_tls
    store = OpenSSL::X509::Store.new.tap { |one| one.add_cert(@identity.certificate) }
    Net::HTTP.start("127.0.0.1", server.port, use_ssl: true, cert_store: store) do |http|
      3.times { assert_equal "hello", http.get("/").body }
      assert_equal "x" * 100_000, http.post("/echo", "x" * 100_000).body
    end
  end

  def run_tool(*command, input: "")
    Open3.popen2e(*command) do |stdin, output, waiter|
      stdin.write(input)
      stdin.close
      [output.read, waiter.value]
    end
  rescue Errno::ENOENT
    skip "there is no #{command.first}"
  end

  def test_curl
    server = serve_tls
    url = "https://server.example:#{server.port}/env"
    common = ["curl", "-sS", "-m", "20", "--cacert", File.join(directory, "server.pem"), "--resolve", "server.example:#{server.port}:127.0.0.1"]
    [["--tlsv1.3"], ["--tls-max", "1.2"], ["--http1.1"]].each do |more|
      output, status = run_tool(*common, *more, url)
      assert status.success?, output
      assert_includes output, "rack.url_scheme=https"
    end
    output, status = run_tool(*common, "--tls-max", "1.1", "--tlsv1.0", url)
    refute status.success?, output
  end

  def test_openssl_s_client
    server = serve_tls
    command = ["openssl", "s_client", "-connect", "127.0.0.1:#{server.port}", "-CAfile", File.join(directory, "server.pem"), "-servername", "server.example"]
    output, = run_tool(*command, "-ign_eof", input: "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert_includes output, "Verification: OK"
    assert_match(/TLSv1\.3/, output)
    assert_includes output, "\r\n\r\nhello"
    # A client that asks for renegotiation is refused and does no harm.
    output, = run_tool(*command, "-tls1_2", input: "GET /env HTTP/1.1\r\nHost: a\r\n\r\nR\n")
    refute_includes output, "RENEGOTIATING\ndepth"
    TLSClient.open(server.port) { |client| assert_equal "hello", client.get("/").body }
  end

  def test_node
    server = serve_tls
    script = "require('https').get({port: #{server.port}, host: '127.0.0.1', rejectUnauthorized: false}, " \
             "(r) => { r.on('data', (d) => process.stdout.write(r.socket.getProtocol() + ' ' + d)) })"
    output, = run_tool("node", "-e", script)
    assert_equal "TLSv1.3 hello", output
  end

  # Both libraries shake hands in one process, whichever is loaded first.
  [%w[openssl kino], %w[kino openssl]].each do |order|
    define_method("test_ruby_s_openssl_beside_boringssl_#{order.join("_then_")}") do
      @identity.write(directory)
      script = <<~RUBY
        require "socket"
        OPENSSL = lambda do
          require "openssl"
          context = OpenSSL::SSL::SSLContext.new
          context.cert = OpenSSL::X509::Certificate.new(File.read("server.pem"))
          context.key = OpenSSL::PKey.read(File.read("server.key"))
          listening = TCPServer.new("127.0.0.1", 0)
          server = Thread.new { OpenSSL::SSL::SSLSocket.new(listening.accept, context).tap(&:accept).puts("from openssl") }
          client = OpenSSL::SSL::SSLSocket.new(TCPSocket.new("127.0.0.1", listening.addr[1])).tap(&:connect)
          puts client.gets
          server.join
        end
        KINO = lambda do
          require "kino"
          app = ->(_env) { [200, { "content-type" => "text/plain" }, ["from kino"]] }
          server = Kino::Server.new(app, mode: :threaded, workers: 1, tls: { cert: "server.pem", key: "server.key" }).start
          request = "require 'net/http'; puts Net::HTTP.start('127.0.0.1', \#{server.port}, use_ssl: true, verify_mode: 0) { |http| http.get('/').body }"
          puts IO.popen([RbConfig.ruby, "-e", request], &:read)
          server.shutdown
        end
        KNOWN = { "openssl" => OPENSSL, "kino" => KINO }
        2.times { #{order.inspect}.each { |name| KNOWN.fetch(name).call } }
      RUBY
      status, output = Child.output("-e", script, chdir: directory)
      assert_equal 0, status, output
      assert_equal order.map { |name| "from #{name}" } * 2, output.lines.map(&:chomp).grep(/\Afrom/), output
    end
  end

  def test_a_client_gets_the_certificate_for_the_name_it_asks_for
    other = Identity.new("other.example")
    server = serve_tls(tls: [@identity.write(directory), { cert: other.pem, key: other.key.to_pem }])
    names = ["server.example", "other.example", "third.example", nil].map do |host|
      TLSClient.open(server.port, host: host) { |client| client.socket.peer_cert.subject.to_a.last[1] }
    end
    assert_equal %w[server.example other.example server.example server.example], names
  end

  def test_sessions_are_resumed
    server = serve_tls
    %i[TLS1_2_VERSION TLS1_3_VERSION].each do |version|
      limit = { max_version: OpenSSL::SSL.const_get(version) }
      session = TLSClient.open(server.port, **limit) { |client| client.get("/") && client.session }
      TLSClient.open(server.port, session: session, **limit) do |client|
        assert_equal "hello", client.get("/").body
        assert client.socket.session_reused?, version
      end
    end
    assert_equal [4, 2], tls_stats(server).values_at(:handshakes, :resumed)
  end

  test "client certificates" do |mode|
    authority = Identity.new("authority.example")
    known = Identity.new("known.example", authority: authority)
    stranger = Identity.new("stranger.example")
    { peer: 200, force_peer: nil }.each do |verify, without|
      server = serve_tls(Apps::Basic.new, mode, tls: @identity.write(directory).merge(ca: authority.pem, verify: verify))
      TLSClient.open(server.port, certificate: known) do |client|
        env = env_of(client.get("/env"))
        assert_equal ["SUCCESS", "CN=known.example,O=kino"], env.values_at("SSL_CLIENT_VERIFY", "SSL_CLIENT_S_DN")
        assert_includes client.get("/env", headers: { "SSL_CLIENT_VERIFY" => "forged" }).body, known.pem.chomp
      end
      assert_refused { TLSClient.open(server.port, certificate: stranger) { |client| client.get("/env") } }
      if without
        TLSClient.open(server.port) do |client|
          env = env_of(client.get("/env"))
          assert_equal "NONE", env["SSL_CLIENT_VERIFY"]
          refute_includes env, "SSL_CLIENT_CERT"
        end
      else
        logged(/TLS: one side does not accept the other's certificate: the client presented none$/) do
          assert_refused { TLSClient.open(server.port) { |client| client.get("/env") } }
        end
      end
      assert_operator tls_stats(server)[:failed][:certificate], :>=, 1
    end
  end

  # With TLS 1.3 the client has finished its part before the server refuses it.
  def assert_refused(&block)
    assert_raises(OpenSSL::SSL::SSLError, EOFError, Errno::ECONNRESET, Errno::EPIPE, &block)
  end

  def test_plain_and_encrypted_addresses_of_one_server
    server = serve_tls(bind: ["http://127.0.0.1", "https://127.0.0.1"])
    plain, secure = server.addresses
    assert_equal %w[http https], server.urls.map { |url| url[/\A\w+/] }
    Client.open(plain.port) { |client| assert_equal "http", env_of(client.get("/env"))["rack.url_scheme"] }
    TLSClient.open(secure.port) { |client| assert_equal "https", env_of(client.get("/env"))["rack.url_scheme"] }
  end

  def test_the_end_is_orderly_and_a_broken_body_s_is_not
    server = serve_tls(Bodies::Routes.new)
    TLSClient.open(server.port) do |client|
      client.get("/", headers: { "Connection" => "close" })
      assert client.closed_by_server?
    end
  end

  def test_a_streamed_response_and_a_slow_reader
    app = Class.new do
      def call(_env)
        [200, { "content-type" => "text/plain" }, Enumerator.new { |out| 200.times { |n| out << (n.to_s.rjust(10) * 1000) } }]
      end
    end
    server = serve_tls(app.new, lint: false)
    TLSClient.open(server.port) do |client|
      client.send_request("GET", "/")
      response = client.read_response
      assert_equal 200.times.map { |n| n.to_s.rjust(10) * 1000 }.join, response.body
    end
  end
end
