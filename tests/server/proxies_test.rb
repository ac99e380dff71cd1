# frozen_string_literal: true

require_relative "support/census"
require_relative "support/ports"
require_relative "support/programs"
require_relative "support/server_test"
require_relative "support/websocket_client"

# nginx and HAProxy in front of two servers, with the configurations in samples/server/deploy: a server that stops costs no request.
#
# Only the addresses of the configurations are replaced, by free ones. KINO_TERMS=50 stops so many servers behind each proxy.
class ProxiesTest < ServerTest
  DEPLOY = File.expand_path("../../samples/server/deploy", __dir__)
  TERMS = Integer(ENV.fetch("KINO_TERMS", "2"))
  CONNECTIONS = 16
  # Answers between two steps.
  STEP = 200

  # A port of its own for each address of a configuration.
  class ReplacedPorts
    def initialize
      @ports = Hash.new { |ports, documented| ports[documented] = Ports.reserve }
    end

    def [](number) = @ports[number.to_s]

    # +text+ with these ports, where it names those of the documented addresses.
    def in(text)
      text.gsub(/(127\.0\.0\.1:|\bport )(\d+)/) { "#{$1}#{self[$2]}" }
    end
  end

  def limit = LIMIT + 30 * TERMS

  def setup
    super
    @ports = ReplacedPorts.new
  end

  def teardown
    @servers_behind&.each_value(&:finish)
    if @proxy
      @proxy.signal("TERM") # KILL would leave the worker of nginx
      @proxy.status
      @proxy.finish
    end
    super
  end

  # The path of a program; the test is skipped without it.
  def need(program)
    Programs.find(program) || skip("#{program} is missing (Debian: #{program})")
  end

  # Starts the server whose ports the configuration has as +number+ and the next one.
  def start_server_behind(number, *arguments, app: File.join(__dir__, "support/counting.ru"))
    child = Child.kino("-m", "threaded", "-w", "2", "-b", "127.0.0.1:#{@ports[number]}", "--control-bind", "127.0.0.1:#{@ports[number + 1]}",
                       "--trusted-proxies", "loopback", *arguments, app)
    child.follow
    (@servers_behind ||= {})[number] = child
    eventually("it is ready") { Client.open(@ports[number + 1]) { |client| client.get("/ready").status } == 200 }
  end

  def start_proxy(command, ready)
    @proxy = Child.new(command)
    log = @proxy.follow
    eventually("the proxy listens: #{@proxy.log}") { !log.alive? || answers?(ready) }
    flunk @proxy.log unless log.alive?
  end

  def answers?(port)
    TCPSocket.new("127.0.0.1", port).close
    true
  rescue Errno::ECONNREFUSED
    false
  end

  def start_nginx
    site = File.join(directory, "app.conf")
    File.write(site, @ports.in(File.read(File.join(DEPLOY, "nginx.conf"))))
    main = File.join(directory, "nginx.conf")
    temporary = %w[client_body proxy fastcgi uwsgi scgi].map { |name| "#{name}_temp_path #{directory}/#{name};" }.join(" ")
    File.write(main, <<~CONFIGURATION)
      daemon off;
      worker_processes 1;
      pid #{directory}/nginx.pid;
      error_log stderr warn;
      events {}
      http { access_log off; #{temporary} include #{site}; }
    CONFIGURATION
    start_proxy([need("nginx"), "-c", main, "-p", directory], @ports[8080])
  end

  def start_haproxy(name, port)
    path = File.join(directory, name)
    File.write(path, @ports.in(File.read(File.join(DEPLOY, name))))
    start_proxy([need("haproxy"), "-f", path], @ports[port])
  end

  # Stops one server after the other, and starts it again, while requests go through the proxy. The other one stops as soon as this
  # one is ready, as in a script that asks nothing but /ready.
  def stop_servers_under_load(port, *arguments)
    calls = File.join(directory, "calls")
    census = Census.new(Addrinfo.tcp("127.0.0.1", port), connections: CONNECTIONS, path: "/?#{calls}")
    answer_some(census)
    TERMS.times do |round|
      number = round.even? ? 9292 : 9294
      child = @servers_behind[number]
      child.signal("TERM")
      replaced = Thread.new do
        child.status.tap { start_server_behind(number, *arguments) }
      end
      census.run { !replaced.alive? }
      assert_equal 0, replaced.value, child.log
    end
    answer_some(census)
    census.finish
    assert_empty census.losses, proxy_log
    assert_equal [200], census.statuses.keys, proxy_log
    assert_equal census.answered, File.size(calls), "what the servers got, and what clients got"
  end

  # What the proxy has logged, each sentence once, with its number.
  def proxy_log
    @proxy.log.lines.map { |line| line.gsub(/\d+/, "0") }.tally.map { |line, count| "#{count} times #{line}" }.join
  end

  def answer_some(census)
    wanted = census.answered + STEP
    census.run { census.answered >= wanted }
  end

  FORGED = { "X-Forwarded-For" => "203.0.113.66", "X-Forwarded-Proto" => "https", "X-Forwarded-Host" => "evil.example", "Host" => "shop.example",
             "X-Forwarded-Port" => "66", "X-Forwarded-Ssl" => "on", "Forwarded" => "for=203.0.113.66;proto=https" }.freeze

  # What the app gets through a proxy from a client that sends these fields.
  def env_through(port, headers = FORGED)
    Client.open(port) do |client|
      response = client.get("/", headers: headers)
      assert_equal 200, response.status
      response.body.lines(chomp: true).to_h { |line| line.split("=", 2) }.merge("the client's port" => client.socket.local_address.ip_port.to_s)
    end
  end

  def start_env_servers(*arguments)
    app = File.join(directory, "env.ru")
    File.write(app, "run ->(env) { [200, {}, [env.select { |_, value| value.is_a?(String) }.map { |pair| pair.join('=') }.join(\"\\n\")]] }")
    start_servers_behind(*arguments, app: app)
  end

  def start_servers_behind(*arguments, **rest)
    [9292, 9294].each { |number| start_server_behind(number, *arguments, **rest) }
  end

  def test_no_request_fails_behind_nginx_when_a_server_stops
    need("nginx")
    start_servers_behind
    start_nginx
    stop_servers_under_load(@ports[8080])
  end

  DRAIN = ["--drain-delay", "2"].freeze

  def test_no_request_fails_behind_haproxy_when_a_server_stops
    need("haproxy")
    start_servers_behind(*DRAIN)
    start_haproxy("haproxy.cfg", 8080)
    stop_servers_under_load(@ports[8080], *DRAIN)
  end

  def test_no_request_fails_behind_haproxy_with_the_proxy_protocol_when_a_server_stops
    need("haproxy")
    start_servers_behind(*DRAIN, "--proxy-protocol") # as ?proxy_protocol=true behind each address
    start_haproxy("haproxy_tcp.cfg", 8443)
    stop_servers_under_load(@ports[8443], *DRAIN, "--proxy-protocol")
  end

  def start_websocket_servers
    app = File.join(directory, "websocket.ru")
    File.write(app, <<~RUBY)
      module Echo
        def self.on_message(client, data) = client.write(data)
      end
      run ->(env) { env["rack.upgrade"] = Echo if env["rack.upgrade?"]; [200, {}, ["plain"]] }
    RUBY
    start_servers_behind(app: app)
  end

  # Beside ordinary requests on the same connections.
  def assert_websockets(port)
    eventually("a server is known to be ready") { Client.open(port) { |client| client.get("/").body == "plain" } }
    WebSocketClient.open(port) do |client|
      assert_predicate client, :open?
      %w[first second].each do |text|
        client.send_text(text)
        assert_equal text, client.read
      end
    end
    Client.open(port) { |client| 2.times { assert_equal "plain", client.get("/").body } }
  end

  def test_nginx_passes_websockets
    need("nginx")
    start_websocket_servers
    start_nginx
    assert_websockets(@ports[8080])
  end

  def test_haproxy_passes_websockets
    need("haproxy")
    start_websocket_servers
    start_haproxy("haproxy.cfg", 8080)
    assert_websockets(@ports[8080])
  end

  def test_nginx_says_whose_request_it_is
    need("nginx")
    start_env_servers
    start_nginx
    assert_forwarded(env_through(@ports[8080]), @ports[8080])
  end

  def test_haproxy_says_whose_request_it_is
    need("haproxy")
    start_env_servers
    start_haproxy("haproxy.cfg", 8080)
    assert_forwarded(env_through(@ports[8080]), @ports[8080])
  end

  # The client is on this machine, and so trusted: what it says of its own client counts, as that of a further proxy would.
  def assert_forwarded(env, port)
    assert_equal ["http", "shop.example", port.to_s], env.values_at("rack.url_scheme", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT")
    assert_equal "203.0.113.66", env["REMOTE_ADDR"]
    assert_match(/\A203\.0\.113\.66, ?127\.0\.0\.1\z/, env["HTTP_X_FORWARDED_FOR"])
    assert_empty env.keys & %w[HTTPS HTTP_FORWARDED HTTP_X_FORWARDED_SSL]
  end

  def test_haproxy_names_the_client_of_a_connection
    need("haproxy")
    start_env_servers("--proxy-protocol")
    start_haproxy("haproxy_tcp.cfg", 8443)
    env = env_through(@ports[8443], {})
    assert_equal env["the client's port"], env["REMOTE_PORT"]
  end
end
