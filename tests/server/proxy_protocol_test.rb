# frozen_string_literal: true

require_relative "support/server_test"
require_relative "support/tls"

# The PROXY protocol, with which a proxy says whose connection it forwards.
class ProxyProtocolTest < ServerTest
  SIGNATURE = "\r\n\r\n\0\r\nQUIT\n".b
  HEADER = "PROXY TCP4 192.0.2.1 198.51.100.2 56789 443\r\n"

  def v2(address, port)
    source = IPAddr.new(address)
    addresses = source.hton + IPAddr.new(source.ipv4? ? "198.51.100.2" : "2001:db8::2").hton + [port, 443].pack("n2")
    SIGNATURE + [0x21, source.ipv4? ? 0x11 : 0x21, addresses.bytesize + 5].pack("CCn") + addresses + [0x04, 2, "xx"].pack("Cna*")
  end

  def client_seen(client)
    env = client.get("/env").body.lines(chomp: true).to_h { |line| line.split("=", 2) }
    env.values_at("REMOTE_ADDR", "REMOTE_PORT")
  end

  covers :proxy_protocol, :trusted_proxies
  test "REMOTE_ADDR and REMOTE_PORT are the client that a trusted proxy names, for every request" do |mode|
    server = serve(Apps::Basic.new, mode, proxy_protocol: true, trusted_proxies: [:loopback])
    { HEADER => %w[192.0.2.1 56789], "PROXY TCP6 2001:DB8::7 ::1 1 2\r\n" => %w[2001:db8::7 1],
      v2("192.0.2.9", 80) => %w[192.0.2.9 80], v2("2001:db8::9", 65_535) => %w[2001:db8::9 65535] }.each do |header, expected|
      Client.open(server.port) do |client|
        client.send_raw(header)
        2.times { assert_equal expected, client_seen(client), header }
      end
    end
  end

  test "a health check of the proxy is the proxy's own request" do |mode|
    server = serve(Apps::Basic.new, mode, proxy_protocol: true, trusted_proxies: "127.0.0.1")
    ["PROXY UNKNOWN\r\n", SIGNATURE + "\x20\0\0\0".b].each do |header|
      Client.open(server.port) do |client|
        client.send_raw(header)
        assert_equal ["127.0.0.1", client.socket.local_address.ip_port.to_s], client_seen(client)
      end
    end
  end

  test "TLS begins behind the header" do |mode|
    skip "the server is built without BoringSSL" unless Identity.usable?
    identity = Identity.new("proxied.test")
    server = serve(Apps::Basic.new, mode, bind: "https://127.0.0.1", tls: { cert: identity.pem, key: identity.key.to_pem },
                                          proxy_protocol: true, trusted_proxies: "loopback")
    TLSClient.open(server.port, before: v2("192.0.2.1", 4711)) { |client| assert_equal %w[192.0.2.1 4711], client_seen(client) }
    log = logged { assert_raises(OpenSSL::SSL::SSLError, SystemCallError, EOFError) { TLSClient.new(server.port) } }
    assert_match(/127\.0\.0\.1:\d+: 400, a trusted proxy must send a PROXY protocol header/, log)
  end

  test "a proxy on a Unix socket is on this machine" do |mode|
    path = File.join(directory, "socket")
    serve(Apps::Basic.new, mode, bind: "unix://#{path}", proxy_protocol: true, trusted_proxies: "loopback")
    Client.open(path) do |client|
      client.send_raw(HEADER)
      assert_equal %w[192.0.2.1 56789], client_seen(client)
    end
  end

  test "the access log has the client that is named" do |mode|
    server = serve(Apps::Basic.new, mode, proxy_protocol: true, trusted_proxies: "loopback", access_log: File.join(directory, "log"))
    Client.open(server.port) do |client|
      client.send_raw(HEADER)
      client.get("/")
    end
    eventually("the line is there") { File.read(File.join(directory, "log")).start_with?("192.0.2.1 ") }
  end

  test "others are served without a header, and get 400 with one" do |mode|
    server = serve(Apps::Basic.new, mode, proxy_protocol: true, trusted_proxies: "192.0.2.0/24")
    Client.open(server.port) { |client| assert_equal "127.0.0.1", client_seen(client).first }
    [HEADER, v2("192.0.2.1", 1)].each do |header|
      log = logged do
        Client.open(server.port) { |client| assert_equal 400, client.send_raw("#{header}GET / HTTP/1.1\r\nHost: x\r\n\r\n".b).read_response.status }
      end
      assert_match(/127\.0\.0\.1:\d+: 400, the client sends the PROXY protocol and is not in trusted_proxies/, log)
    end
  end

  test "an address says for itself whether its connections begin with a header" do |mode|
    paths = Array.new(2) { |number| File.join(directory, number.to_s) }
    binds = ["127.0.0.1?proxy_protocol=true", "127.0.0.1", "unix://#{paths[0]}?mode=0660&proxy_protocol=true", "unix://#{paths[1]}"]
    server = serve(Apps::Basic.new, mode, bind: binds, trusted_proxies: "loopback")
    marked, plain = server.addresses.filter_map(&:port)
    assert_equal [0o660, "unix://#{paths[0]}"], [File.stat(paths[0]).mode & 0o777, server.urls[2]]
    [marked, paths[0]].each do |place|
      Client.open(place) { |client| assert_equal "192.0.2.1", client_seen(client.tap { client.send_raw(HEADER) }).first }
      Client.open(place) { |client| assert_equal 400, client.get("/").status }
    end
    [plain, paths[1]].each do |place|
      Client.open(place) { |client| assert_equal 200, client.get("/").status }
      log = logged { Client.open(place) { |client| assert_equal 400, client.send_raw("#{HEADER}GET / HTTP/1.1\r\nHost: x\r\n\r\n").read_response.status } }
      assert_includes log, "or the address has no proxy_protocol"
    end
  end

  test "the option proxy_protocol is for the addresses that do not say" do |mode|
    server = serve(Apps::Basic.new, mode, bind: ["127.0.0.1", "127.0.0.1:0?proxy_protocol=false"], proxy_protocol: true, trusted_proxies: "loopback")
    marked, plain = server.addresses.map(&:port)
    Client.open(marked) { |client| assert_equal 400, client.get("/").status }
    Client.open(plain) { |client| assert_equal 200, client.get("/").status }
  end

  # The processes share the sockets that their master opens, and localhost is two addresses.
  def test_an_address_says_so_with_several_processes_too
    app = File.join(directory, "config.ru")
    File.write(app, "run ->(env) { [200, {}, [env['REMOTE_ADDR']]] }")
    child = Child.kino("-m", "threaded", "-w", "1", "--processes", "2", "-b", "localhost?proxy_protocol=true", "--trusted-proxies", "loopback", app)
    Client.open(child.port) do |client|
      client.send_raw(HEADER)
      assert_equal "192.0.2.1", client.get("/").body
    end
    Client.open(child.port) { |client| assert_equal 400, client.get("/").status }
    child.signal("TERM")
    assert_equal 0, child.status, child.log
  ensure
    child&.finish
  end

  test "proxy_protocol needs trusted_proxies" do |mode|
    [{ proxy_protocol: true }, { bind: ["127.0.0.1", "127.0.0.1?proxy_protocol=true"] }].each do |options|
      error = assert_raises(Kino::ConfigError) { serve(Apps::Basic.new, mode, **options) }
      assert_match(%r{\Akeyword: (bind: )?proxy_protocol of http://127\.0\.0\.1:0: trusted_proxies must say}, error.message)
    end
  end

  def test_what_an_address_cannot_say_is_refused
    ["127.0.0.1?", "127.0.0.1?mode=0660", "127.0.0.1?proxy_protocol", "127.0.0.1?proxy_protocol=1", "unix://@name?mode=0660", "?proxy_protocol=true",
     "127.0.0.1?proxy_protocol=true&proxy_protocol=true", "unix:///tmp/x?proxy_protocol=true?", "[::1]?a=b"].each do |text|
      error = assert_raises(Kino::ConfigError, text) { Kino::Settings.new({ bind: text }) }
      assert_match(/cannot listen on /, error.message)
    end
    error = assert_raises(Kino::ConfigError) { Kino::ControlPlane.address("127.0.0.1?proxy_protocol=true") }
    assert_match(/the control plane does not speak the PROXY protocol/, error.message)
    assert_equal ["::1", 80, true], Kino::Address.parse("::1?proxy_protocol=true", 80).then { |address| [address.host, address.port, address.proxy_protocol] }
    assert_equal "@name", Kino::Address.parse("unix://@name?proxy_protocol=true", 80).path
  end

  def test_networks_are_checked
    ["10.0.0.0/33", "10.0.0.0/255.0.0.0", "proxy.example", "10.0.0.1%eth0", "", "[::1]", "privat", " "].each do |text|
      error = assert_raises(Kino::ConfigError, text) { Kino::Settings.new({ trusted_proxies: text }) }
      assert_match(/trusted_proxies; it takes one network or several/, error.message)
      assert_match(/did you mean private\?/, error.message) if text == "privat"
    end
    assert_equal %w[loopback 10.0.0.0/8 ::1], Kino::Settings.new({ trusted_proxies: [:loopback, "10.0.0.0/8", "::1"] })[:trusted_proxies]
    assert_equal %w[loopback 10.0.0.0/8], Kino::Settings.new({ trusted_proxies: "loopback, 10.0.0.0/8" })[:trusted_proxies]
  end
end
