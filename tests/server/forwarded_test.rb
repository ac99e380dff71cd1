# frozen_string_literal: true

require "open3"

require_relative "support/server_test"
require_relative "support/tls"
require "rack/request"

# Whose request it is, as the proxies in front of the server say it.
class ForwardedTest < ServerTest
  FORGED = { "X-Forwarded-For" => "203.0.113.66", "X-Forwarded-Proto" => "https", "X-Forwarded-Host" => "evil.example", "X-Forwarded-Port" => "66",
             "X-Forwarded-Ssl" => "on", "X-Forwarded-Scheme" => "https", "Forwarded" => "for=203.0.113.66;proto=https;host=evil.example",
             "X-Real-IP" => "203.0.113.66", "Client-IP" => "203.0.113.66", "X-Forwarded-Prefix" => "/evil" }.freeze

  def env_of(port, headers, **options)
    Client.open(port, **options) { |client| client.get("/env", headers: headers).body.lines(chomp: true).to_h { |line| line.split("=", 2) } }
  end

  # What Rack, and with it most frameworks, make of an env.
  def request(env)
    Rack::Request.new(env.merge("rack.input" => StringIO.new))
  end

  # The forged fields, with +appended+ added to their lists, as a proxy does.
  def behind_proxy(appended)
    FORGED.to_h { |name, value| [name, appended.key?(name) ? "#{value}, #{appended[name]}" : value] }
  end

  covers :trusted_proxies, :forwarded_headers
  test "the client is the last untrusted address of X-Forwarded-For, and what it has forged reaches no app" do |mode|
    server = serve(Apps::Basic.new, mode, trusted_proxies: %w[loopback 10.0.0.0/8], forwarded_headers: :x_forwarded)
    env = env_of(server.port, behind_proxy("X-Forwarded-For" => "192.0.2.1:5678, 10.0.0.2", "X-Forwarded-Proto" => "https, http",
                                           "X-Forwarded-Host" => "shop.example, inside", "X-Forwarded-Port" => "443, 80"))
    assert_equal ["192.0.2.1", "5678", "https", "on"], env.values_at("REMOTE_ADDR", "REMOTE_PORT", "rack.url_scheme", "HTTPS")
    assert_equal ["192.0.2.1:5678, 10.0.0.2", "https", "shop.example", "443"],
                 env.values_at("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT")
    assert_empty env.keys & %w[HTTP_FORWARDED HTTP_X_FORWARDED_SSL HTTP_X_FORWARDED_SCHEME]
    assert_equal "203.0.113.66", env["HTTP_X_REAL_IP"], "other fields of trusted proxies are theirs"
    assert_equal ["192.0.2.1", "https", "shop.example"], request(env).then { |seen| [seen.ip, seen.scheme, seen.host] }
  end

  test "a client on a private network is the client for Rack, too, although Rack trusts such addresses" do |mode|
    server = serve(Apps::Basic.new, mode, trusted_proxies: "loopback")
    env = env_of(server.port, behind_proxy("X-Forwarded-For" => "192.168.1.7", "X-Forwarded-Proto" => "http"))
    assert_equal ["192.168.1.7", "http"], env.values_at("REMOTE_ADDR", "rack.url_scheme")
    refute_includes env, "HTTPS"
    assert_equal ["192.168.1.7", "http"], request(env).then { |seen| [seen.ip, seen.scheme] }
  end

  covers :forwarded_headers
  test "with forwarded_headers :forwarded, the header of RFC 7239 counts, and the others are not passed on" do |mode|
    server = serve(Apps::Basic.new, mode, trusted_proxies: "loopback", forwarded_headers: :forwarded)
    element = 'for="[2001:db8::7]:4711";proto=https;host=shop.example'
    env = env_of(server.port, behind_proxy("Forwarded" => element))
    assert_equal ["2001:db8::7", "4711", "https", element], env.values_at("REMOTE_ADDR", "REMOTE_PORT", "rack.url_scheme", "HTTP_FORWARDED")
    assert_empty env.keys.grep(/\AHTTP_X_FORWARDED/) - ["HTTP_X_FORWARDED_PREFIX"]
    assert_equal "https", request(env).scheme
  end

  test "from others than trusted proxies, such fields change nothing and reach no app" do |mode|
    %i[x_forwarded forwarded].each do |headers|
      server = serve(Apps::Basic.new, mode, trusted_proxies: "192.0.2.0/24", forwarded_headers: headers)
      env = env_of(server.port, FORGED)
      assert_equal ["127.0.0.1", "http"], env.values_at("REMOTE_ADDR", "rack.url_scheme")
      assert_empty env.keys.grep(/FORWARDED|REAL_IP|CLIENT_IP|HTTPS/)
    end
  end

  test "without trusted_proxies, or with forwarded_headers :none, they reach the app and change nothing" do |mode|
    [{}, { trusted_proxies: "loopback", forwarded_headers: :none }].each do |options|
      server = serve(Apps::Basic.new, mode, **options)
      env = env_of(server.port, FORGED)
      assert_equal ["127.0.0.1", "http"], env.values_at("REMOTE_ADDR", "rack.url_scheme")
      FORGED.each { |name, value| assert_equal value, env["HTTP_#{name.upcase.tr("-", "_")}"] }
    end
  end

  test "a client that the PROXY protocol names may be a proxy that is trusted itself" do |mode|
    server = serve(Apps::Basic.new, mode, trusted_proxies: %w[loopback 10.0.0.0/8], proxy_protocol: true)
    seen = { "10.0.0.9" => "192.0.2.1", "198.51.100.9" => "198.51.100.9" }.map do |named, expected|
      Client.open(server.port) do |client|
        client.send_raw("PROXY TCP4 #{named} 10.0.0.1 1 2\r\n")
        [expected, client.get("/env", headers: { "X-Forwarded-For" => "192.0.2.1" }).body[/^REMOTE_ADDR=(.*)/, 1]]
      end
    end
    seen.each { |expected, found| assert_equal expected, found }
  end

  test "the access log has the client and its scheme" do |mode|
    path = File.join(directory, "log")
    server = serve(Apps::Basic.new, mode, trusted_proxies: "loopback", access_log: path, access_log_format: "$remote_addr:$remote_port $scheme")
    env_of(server.port, { "X-Forwarded-For" => "192.0.2.1:5", "X-Forwarded-Proto" => "https" })
    eventually("the line is there") { File.read(path) == "192.0.2.1:5 https\n" }
  end

  test "it holds for HTTP/2" do |mode|
    server = serve(Apps::Basic.new, mode, trusted_proxies: "loopback")
    skip "the server is built without nghttp2" unless Kino::Native.settings({}).fetch(:http2)
    body, status = Open3.capture2("curl", "-sS", "-m", "30", "--http2-prior-knowledge", *FORGED.flat_map { |name, value| ["-H", "#{name}: #{value}"] },
                                  "-H", "X-Forwarded-For: 192.0.2.1, 127.0.0.9", "-H", "X-Forwarded-Proto: http, https", "http://127.0.0.1:#{server.port}/env")
    assert_predicate status, :success?
    env = body.lines(chomp: true).to_h { |line| line.split("=", 2) }
    assert_equal ["192.0.2.1", "http", "192.0.2.1, 127.0.0.9"], env.values_at("REMOTE_ADDR", "rack.url_scheme", "HTTP_X_FORWARDED_FOR")
  end

  test "it holds for each request of a connection" do |mode|
    server = serve(Apps::Basic.new, mode, trusted_proxies: "loopback")
    Client.open(server.port) do |client|
      [%w[192.0.2.1 https], %w[192.0.2.2 http], [nil, nil]].each do |address, scheme|
        headers = address ? { "X-Forwarded-For" => address, "X-Forwarded-Proto" => scheme } : {}
        body = client.get("/env", headers: headers).body
        assert_equal [address || "127.0.0.1", scheme || "http"], [body[/^REMOTE_ADDR=(.*)/, 1], body[/^rack.url_scheme=(.*)/, 1]]
      end
    end
  end
end
