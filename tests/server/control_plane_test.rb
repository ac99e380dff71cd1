# frozen_string_literal: true

require "json"

require_relative "support/server_test"

# The control plane of a server: it answers whatever the workers do, and only clients with access.
class ControlPlaneTest < ServerTest
  TOKEN = "tests-only-0123456789"
  LOCAL = { "Host" => "localhost" }.freeze
  BEARER = LOCAL.merge("Authorization" => "Bearer #{TOKEN}").freeze

  def serve_with_control(app = Apps::Basic.new, mode = :threaded, control_bind: "127.0.0.1:0", **rest)
    serve(app, mode, control_bind: control_bind, **rest)
  end

  def control_of(server)
    url = server.control_urls.first
    url.delete_prefix("unix://").then { |path| path == url ? Integer(url[/\d+\z/]) : path }
  end

  def ask(server, path, headers: LOCAL)
    Client.open(control_of(server)) { |client| client.get(path, headers: headers) }
  end

  def stats_of(server, **rest)
    JSON.parse(ask(server, "/stats", **rest).body, symbolize_names: true)
  end

  # As JSON has it.
  def plain(stats)
    JSON.parse(JSON.generate(stats), symbolize_names: true)
  end

  covers :control_bind
  test "/stats is Server#stats as JSON" do |mode|
    server = serve_with_control(Apps::Basic.new, mode, control_bind: "127.0.0.1:0")
    Client.open(server.port) { |client| 3.times { client.get("/") } }
    eventually("all is quiet") { server.stats.then { |stats| stats[:in_flight].zero? && stats[:connections].zero? } }
    assert_equal plain(server.stats), stats_of(server)
    assert_equal 3, stats_of(server)[:served]
  end

  test "without control_bind there is no control plane", modes: [:threaded] do |mode|
    assert_empty serve(Apps::Basic.new, mode).control_urls
  end

  # The canary: every worker is stuck, more requests wait, and the control plane tells so.
  test "it answers while every worker is stuck" do |mode|
    server = serve_with_control(Apps::Basic.new, mode)
    held = gate
    clients = Array.new(4) { Client.new(server.port).send_request("GET", "/hold?#{held.query}") }
    held.await(2)
    eventually("two wait") { server.stats[:queued] == 2 }
    assert_equal [2, 2], stats_of(server).values_at(:in_flight, :queued)
    assert_equal [200, 200], %w[/live /ready].map { |path| ask(server, path).status }
    held.open
    clients.each { |client| assert_equal "held", client.read_response.body }
  ensure
    clients&.each(&:close)
  end

  # The handler computes a power for many seconds, and gives the GVL to no other thread meanwhile; its process is killed.
  def test_it_answers_while_a_thread_keeps_the_gvl
    File.write(rackup = File.join(directory, "config.ru"), "run ->(_) { File.write(#{File.join(directory, "begun").inspect}, ''); " \
                                                          "n = 3**2_000_000; 100_000.times { n * n }; [200, {}, []] }\n")
    socket = File.join(directory, "control.sock")
    @child = Child.kino("-m", "threaded", "-w", "1", "-t", "1", "--control-bind", "unix://#{socket}", rackup)
    client = Client.new(@child.port).send_request("GET", "/")
    eventually("the handler has begun") { File.exist?(File.join(directory, "begun")) }
    20.times { Client.open(socket) { |operator| assert_equal 1, JSON.parse(operator.get("/stats").body)["in_flight"] } }
    Client.open(socket) { |operator| assert_match(/^kino_requests_in_flight 1$/, operator.get("/metrics").body) }
  ensure
    client&.close
  end

  covers :control_token
  test "with control_token, statistics need it and probes do not", modes: [:threaded] do |mode|
    server = serve_with_control(Apps::Basic.new, mode, control_token: TOKEN)
    assert_equal [200, 200], %w[/live /ready].map { |path| ask(server, path).status }
    assert_equal 200, ask(server, "/stats", headers: BEARER).status
    refused = [ask(server, "/stats"), ask(server, "/stats", headers: LOCAL.merge("Authorization" => "Bearer wrong")),
               ask(server, "/stats?token=#{TOKEN}"), ask(server, "/stats?control_token=#{TOKEN}")]
    assert_equal [401], refused.map(&:status).uniq
    assert_equal ['Bearer realm="kino"'], refused.map { |response| response["www-authenticate"] }.uniq
    refused.each { |response| refute_includes response.body, TOKEN }
  end

  test "control_token may be in a file that only its owner can read", modes: [:threaded] do |mode|
    File.write(file = File.join(directory, "token"), "#{TOKEN}\n", perm: 0o600)
    server = serve_with_control(Apps::Basic.new, mode, control_token: "@#{file}")
    assert_equal [200, 401], [BEARER, LOCAL].map { |headers| ask(server, "/stats", headers: headers).status }
    File.chmod(0o640, file)
    error = assert_raises(Kino::ConfigError) { serve_with_control(Apps::Basic.new, mode, control_token: "@#{file}") }
    assert_equal "keyword: control_token: other users can read #{file}; chmod 600 it", error.message
    File.chmod(0o600, file)
    File.write(file, "short")
    error = assert_raises(Kino::ConfigError) { serve_with_control(Apps::Basic.new, mode, control_token: "@#{file}") }
    assert_match(/\Akeyword: control_token: #{Regexp.escape(file)} has no valid token/, error.message)
  end

  test "the file of a Unix socket is its owner's alone, and goes with the server", modes: [:threaded] do |mode|
    path = File.join(directory, "control.sock")
    server = serve_with_control(Apps::Basic.new, mode, control_bind: "unix://#{path}")
    assert_equal 0o600, File.stat(path).mode & 0o777
    assert_equal 200, ask(server, "/stats", headers: { "Host" => "anything" }).status
    server.shutdown
    refute File.exist?(path)
  end

  test "an address that other machines can reach is refused without a token", modes: [:threaded] do |mode|
    %w[0.0.0.0:9293 [::]:9293 192.0.2.1:9293 example.com:80].each do |address|
      error = assert_raises(Kino::ConfigError) { serve_with_control(Apps::Basic.new, mode, control_bind: address) }
      assert_equal "keyword: control_bind http://#{address} can be reached from other machines, so it needs control_token " \
                   "(or listen on 127.0.0.1 or unix:///path)", error.message
    end
    assert_equal 200, ask(serve_with_control(Apps::Basic.new, mode, control_bind: "0.0.0.0:0", control_token: TOKEN), "/live").status
  end

  # A name in Linux's abstract namespace has no permissions.
  test "an address without a file that every user can use is refused without a token", modes: [:threaded] do |mode|
    error = assert_raises(Kino::ConfigError) { serve_with_control(Apps::Basic.new, mode, control_bind: "unix://@kino-test") }
    assert_equal "keyword: control_bind unix://@kino-test can be used by every user of this machine, so it needs control_token " \
                 "(or listen on 127.0.0.1 or unix:///path)", error.message
  end

  # More than the control plane serves at a time.
  test "clients that only connect do not keep operators out" do |mode|
    server = serve_with_control(Apps::Basic.new, mode)
    idle = Array.new(150) { Client.new(control_of(server)) }
    assert_equal [200, 200], %w[/live /stats].map { |path| ask(server, path).status }
    assert_predicate idle.first, :closed_by_server?
    assert_healthy(server)
  ensure
    idle&.each(&:close)
  end

  test "an address in use is named, with the option that chooses another", modes: [:threaded] do |mode|
    taken = serve_with_control
    error = assert_raises(Kino::BindError) { serve_with_control(Apps::Basic.new, mode, control_bind: "127.0.0.1:#{control_of(taken)}") }
    assert_match(/\Akeyword: control_bind: cannot listen on .*choose another with --control-bind\z/, error.message)
  end

  test "/ready says draining while a request keeps the server from stopping" do |mode|
    server = serve_with_control(Apps::Basic.new, mode)
    held = gate
    client = Client.new(server.port).send_request("GET", "/hold?#{held.query}")
    held.await
    ending = Thread.new { server.shutdown }
    eventually("it is not ready") { ask(server, "/ready").status == 503 }
    assert_equal "draining\n", ask(server, "/ready").body
    assert_equal 200, ask(server, "/live").status
    held.open
    assert_equal "held", client.read_response.body
    assert ending.value
    assert_raises(Errno::ECONNREFUSED) { ask(server, "/live") }
  ensure
    client&.close
  end

  # Neither the banner, nor --check-config, nor a message about a mistake shows the token.
  def test_no_output_has_the_token
    File.write(rackup = File.join(directory, "config.ru"), "run ->(_) { [200, {}, []] }\n")
    @child = Child.kino("-w", "1", "--control-bind", "127.0.0.1:0", "--log-requests", rackup, env: { "KINO_CONTROL_TOKEN" => TOKEN })
    port = @child.await_line(/^ +control +http:\S+:(\d+)/)[1].to_i
    Client.open(port) { |client| assert_equal 200, client.get("/stats", headers: BEARER).status }
    Client.open(port) { |client| assert_equal 400, client.send_raw("GET / HTTP/1.1\r\nAuthorization: Bearer #{TOKEN}\r\n\r\n").read_response.status }
    @child.signal("TERM")
    assert_equal 0, @child.status
    assert_match(/control_token \(not shown\)/, @child.log)
    refute_includes @child.log, TOKEN

    File.write(config = File.join(directory, "kino.rb"), "control_token \"#{TOKEN} \"\nrackup #{rackup.inspect}\n")
    status, wrong = Child.output(File.join(Child::ROOT, "exe/kino"), "--check-config", "-C", config)
    assert_equal 1, status
    assert_match(/kino.rb:1: the given value of control_token is not valid/, wrong)
    refute_includes wrong, TOKEN
    _, right = Child.output(File.join(Child::ROOT, "exe/kino"), "--check-config", rackup, env: { "KINO_CONTROL_TOKEN" => TOKEN })
    assert_match(/control_token +\(not shown\) +\(KINO_CONTROL_TOKEN\)/, right)
    refute_includes right, TOKEN
  end

  # Clients that send nothing, half a head or a large one, ask with wrong tokens, or leave: neither plane minds.
  test "hostile clients disturb neither the server nor the control plane" do |mode|
    server = serve_with_control(Apps::Basic.new, mode, control_token: TOKEN)
    port = control_of(server)
    slow = Array.new(30) { Client.new(port).send_raw(["", "G", "GET /stats HTTP/1.1\r\nHost: "].sample) }
    logged do
      50.times do |n|
        Client.open(port) do |client|
          case n % 4
          when 0 then assert_equal 431, client.get("/stats", headers: LOCAL.merge("X" => "x" * 9000)).status
          when 1 then assert_equal 401, client.get("/stats", headers: LOCAL.merge("Authorization" => "Bearer #{n}")).status
          when 2 then client.send_raw("\0" * 100)
          else client.send_raw("GET /stats HTTP/1.1\r\nHost: localhost\r\n").reset
          end
        end
      end
      assert_equal 200, ask(server, "/stats", headers: BEARER).status
      Client.open(server.port) { |client| assert_equal 200, client.get("/").status }
    end
    assert_equal 1, stats_of(server, headers: BEARER)[:served]
  ensure
    slow&.each(&:close)
  end

  def metrics_of(server, **rest)
    ask(server, "/metrics", **rest).body.lines(chomp: true).reject { |line| line.start_with?("#") }.to_h { |line| line.split(/ (?=\S+\z)/) }
  end

  test "/metrics counts requests and their times, whatever became of them" do |mode|
    server = serve_with_control(Apps::Basic.new, mode)
    logged do
      Client.open(server.port) { |client| 3.times { client.get("/") } }
      Client.open(server.port) { |client| assert_equal 400, client.send_raw("GET / HTTP/1.1\r\n\r\n").read_response.status }
    end
    eventually("all have ended") { metrics_of(server)["kino_exchanges_total{end=\"complete\"}"] == "3" }
    metrics = metrics_of(server)
    expected = { "kino_requests_served_total" => "3", "kino_requests_refused_total" => "1", "kino_exchanges_total{end=\"refused\"}" => "1",
                 "kino_request_duration_seconds_count{class=\"2xx\"}" => "3", "kino_request_duration_seconds_count{class=\"4xx\"}" => "1",
                 "kino_queue_duration_seconds_count" => "3", "kino_app_duration_seconds_count" => "3", "kino_workers_alive" => "2",
                 "kino_ruby_answered" => "1", "kino_ready" => "1" }
    assert_equal expected, metrics.slice(*expected.keys)
    assert_operator Float(metrics["kino_gc_allocated_objects_total"]), :>, 1000
  end

  class Routed < Apps::Basic
    def call(env)
      env["kino.route"] = env["PATH_INFO"].sub(/\d+/, ":id") unless env["PATH_INFO"] == "/unknown"
      raise "the app's fault" if env["PATH_INFO"] == "/fail"

      Apps.text("x", env["PATH_INFO"].start_with?("/missing") ? 404 : 200)
    end
  end

  # While a Thread of the main Ractor spins, another that sleeps for a moment waits for the GVL each time.
  test "/metrics has the waits for the GVL, where Ruby reports them" do |mode|
    server = serve(Apps::Basic.new, mode, control_bind: "127.0.0.1:0")
    seconds = -> { metrics_of(server)["kino_gvl_wait_duration_seconds_sum"]&.to_f }
    if RUBY_VERSION < "3.2"
      assert_nil seconds.call
      next
    end
    spinning = true
    spinner = Thread.new { nil while spinning }
    sleeper = Thread.new { sleep(0.001) while spinning }
    before = seconds.call
    eventually("a second of waits has been measured") { seconds.call - before > 1 }
  ensure
    spinning = false
    [spinner, sleeper].compact.each(&:join)
  end

  covers :route_metrics
  test "/metrics has times by route and class, for a limited number of routes" do |mode|
    server = serve_with_control(Routed.new, mode, route_metrics: 4)
    paths = ["/users/1", "/users/2", "/missing/1", "/fail", "/unknown", %(/a"b\\c), "/later1x", "/latest1x"]
    Client.open(server.port) do |client|
      paths.each { |path| client.send_raw("GET #{path} HTTP/1.1\r\nHost: x\r\n\r\n").read_response }
    end
    expected = { %(route="/users/:id",class="2xx") => "2", %(route="/missing/:id",class="4xx") => "1", %(route="/fail",class="5xx") => "1",
                 'route="/a\"b\\\\c",class="2xx"' => "1", %(route="other",class="2xx") => "2" }
    routes = {}
    eventually("all have ended") do
      routes = metrics_of(server).select { |name,| name.start_with?("kino_route_duration_seconds_count") }
      routes.sum { |_, count| count.to_i } == 7
    end
    assert_equal(expected, routes.transform_keys { |name| name[/\{(.*)\}/, 1] })
  end

  test "frameworks name their routes", modes: [:threaded] do |mode|
    names = { "/rails" => ["action_dispatch.route_uri_pattern", "/users/:id(.:format)"], "/sinatra" => ["sinatra.route", "GET /users/:id"] }
    app = lambda do |env|
      key, route = names.fetch(env["PATH_INFO"])
      env[key] = route
      [200, { "content-type" => "text/plain" }, ["x"]]
    end
    server = start_server(app, mode: mode, workers: 1, control_bind: "127.0.0.1:0", route_metrics: 10)
    Client.open(server.port) { |client| names.each_key { |path| client.get(path) } }
    eventually("both are counted") do
      metrics = metrics_of(server)
      names.values.all? { |_, route| metrics[%(kino_route_duration_seconds_count{route="#{route}",class="2xx"})] == "1" }
    end
  end

  test "without route_metrics, routes cost nothing", modes: [:threaded] do |mode|
    server = serve_with_control(Routed.new, mode)
    Client.open(server.port) { |client| client.get("/users/1") }
    refute(metrics_of(server).any? { |name,| name.start_with?("kino_route") })
  end

  # The access log and the metrics observe the same requests.
  test "the access log is written beside the metrics", modes: [:threaded] do |mode|
    file = File.join(directory, "access.log")
    server = serve_with_control(Apps::Basic.new, mode, access_log: file)
    Client.open(server.port) { |client| client.get("/") }
    eventually("the request has ended") { metrics_of(server)["kino_exchanges_total{end=\"complete\"}"] == "1" }
    eventually("its line is written") { File.exist?(file) && File.read(file).lines.size == 1 }
  end

  class Dying < Apps::Basic
    def die(_env)
      raise NoMemoryError, "as intended"
    end
  end

  test "the series of /metrics stay the same when workers are replaced" do |mode|
    server = serve_with_control(Dying.new, mode)
    before = metrics_of(server)
    logged do
      5.times do |n|
        Client.open(server.port) { |client| assert_equal 500, client.get("/die").status }
        eventually("it is replaced") { stats_of(server).values_at(:respawns, :alive) == [n + 1, 2] }
      end
    end
    after = metrics_of(server)
    assert_equal before.keys, after.keys
    assert_equal %w[0 5], [before, after].map { |metrics| metrics["kino_worker_respawns_total"] }
  end

  test "/metrics is OpenMetrics for clients that read it", modes: [:threaded] do |mode|
    server = serve_with_control(Apps::Basic.new, mode)
    open = ask(server, "/metrics", headers: LOCAL.merge("Accept" => "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"))
    assert_equal "application/openmetrics-text; version=1.0.0; charset=utf-8", open["content-type"]
    assert open.body.end_with?("# EOF\n")
    assert_equal "text/plain; version=0.0.4; charset=utf-8", ask(server, "/metrics")["content-type"]
  end

  # promtool reads the text as Prometheus does, and has opinions about names.
  test "promtool accepts /metrics", modes: [:threaded] do |mode|
    skip "promtool is missing (Debian: prometheus)" unless system("command -v promtool > /dev/null")

    require "open3"
    server = serve_with_control(Apps::Basic.new, mode)
    output, status = Open3.capture2e("promtool", "check", "metrics", stdin_data: ask(server, "/metrics").body)
    assert_predicate status, :success?, output
    assert_empty output
  end

  def workers_of(server, query = "")
    JSON.parse(ask(server, "/workers#{query}").body)
  end

  test "/workers says what each worker does, without the query" do |mode|
    server = serve_with_control(Apps::Basic.new, mode)
    held = gate
    Client.open(server.port) do |client|
      client.send_request("GET", "/hold?#{held.query}")
      held.await
      busy, idle = workers_of(server)["workers"].partition { |worker| worker["request"] }
      assert_equal [{ "method" => "GET", "path" => "/hold", "path_is_cut" => false }], busy.map { |worker| worker["request"].slice("method", "path", "path_is_cut") }
      assert_equal [1, 0], [*busy, *idle].map { |worker| worker["in_flight"] }
      held.open
      client.read_response
      eventually("it is idle") { workers_of(server)["workers"].none? { |worker| worker["request"] } }
    end
  end

  test "/workers has backtraces on request, by which a stuck worker's place is found", modes: [:threaded] do |mode|
    server = serve_with_control(Apps::Basic.new, mode)
    held = gate
    Client.open(server.port) do |client|
      client.send_request("GET", "/hold?#{held.query}")
      held.await
      all = workers_of(server, "?backtraces=1")
      stuck = all["workers"].find { |worker| worker["request"] }
      thread = all["threads"].find { |one| one["thread_id"] == stuck["thread_id"] }
      assert_match(/kino worker/, thread["name"])
      assert(thread["backtrace"].any? { |frame| frame.include?("apps.rb") || frame.include?("gate.rb") }, thread.inspect)
      held.open
      client.read_response
    end
  end if RUBY_PLATFORM.include?("linux") && Thread.method_defined?(:native_thread_id)

  # As many requests as a worker can have on its way are shown or not; the server goes on.
  test "asking for workers disturbs no request" do |mode|
    server = serve_with_control(Apps::Basic.new, mode)
    asking = Thread.new { 100.times { workers_of(server) } }
    Client.open(server.port) { |client| 300.times { assert_equal 200, client.get("/").status } }
    asking.join
    assert_healthy(server)
  end

  test "the page at / is one file that a browser may only run as it is, and has no numbers in it", modes: [:threaded] do |mode|
    server = serve_with_control(Apps::Basic.new, mode, control_token: TOKEN)
    page = ask(server, "/")
    assert_equal [200, "text/html; charset=utf-8", "DENY", "no-referrer"], [page.status, *%w[content-type x-frame-options referrer-policy].map { |name| page[name] }]
    assert_match(/\Adefault-src 'none'; script-src 'sha256-[^ ]+'; style-src 'sha256-[^ ]+'; connect-src 'self'; /, page["content-security-policy"])
    refute_match(/unsafe|https?:(?!\/\/www\.w3\.org\/2000\/svg)/, page["content-security-policy"] + page.body)
    refute_match(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|localStorage|sessionStorage| on\w+=| style=/, page.body)
  end
end
