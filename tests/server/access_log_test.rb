# frozen_string_literal: true

require "json"
require "pty"

require_relative "support/server_test"

# The access log: what it contains, where it is written, and what no client can do to it.
class AccessLogTest < ServerTest
  class App < Apps::Basic
    def fail(_env) = raise("the app's fault")

    def missing(_env) = Apps.text("no\n", 404)

    def half(_env)
      [200, { "content-type" => "text/plain", "content-length" => "10" }, Half.new]
    end

    class Half
      def each
        yield "short"
      end
    end
  end

  def path = File.join(directory, "access.log")

  def serve_logged(mode, **options)
    serve(App.new, mode, access_log: path, access_log_format: "json", **options)
  end

  def lines = File.readlines(path, chomp: true)

  # The lines of all exchanges, once there are +count+.
  def entries(count)
    eventually("#{count} lines") { lines.size >= count }
    lines.map { |line| JSON.parse(line) }
  end

  def get(server, path = "/", **rest)
    Client.open(server.port) { |client| client.get(path, **rest) }
  end

  covers :access_log, :access_log_format
  test "every exchange has a line with its sizes, its times and its end" do |mode|
    server = serve(App.new, mode, lint: false, access_log: path, access_log_format: "json")
    Client.open(server.port) do |client|
      # A client has its response before the line is written, so they are awaited one by one.
      client.get("/", headers: { "User-Agent" => "test", "Referer" => "http://x/", "X-Request-Id" => "abc-1" })
      entries(1)
      client.request("POST", "/echo?q=1", body: "12345")
      entries(2)
      client.request("HEAD", "/")
      entries(3)
      client.get("/missing")
    end
    entries(4)
    get(server, "/fail")
    entries(5)
    Client.open(server.port) { |client| client.send_raw("nonsense\r\n\r\n").read_to_end }
    entries(6)
    Client.open(server.port) do |client|
      client.send_raw("GET /half HTTP/1.1\r\nHost: x\r\n\r\n").read_to_end
    rescue Errno::ECONNRESET
      # That is how a response is cut.
    end
    all = entries(7)
    assert_equal [200, 200, 200, 404, 500, 400, 200], all.map { |entry| entry["status"] }
    assert_equal %w[complete complete complete complete complete refused cut], all.map { |entry| entry["end"] }
    assert_equal [5, 5, 0], all.first(3).map { |entry| entry["response_bytes"] }
    assert_equal [0, 5, 0], all.first(3).map { |entry| entry["request_bytes"] }
    first = all.first
    assert_equal ["GET", "/", "HTTP/1.1", "http", "test.example", "test", "http://x/", "abc-1", "127.0.0.1"],
                 first.values_at("method", "target", "protocol", "scheme", "host", "user_agent", "referer", "request_id", "remote_addr")
    assert_equal "/echo?q=1", all[1]["target"]
    %w[receive_time queue_time app_time first_byte_time total_time].each { |name| assert_kind_of Float, first[name], name }
    assert_operator first["total_time"], :>=, first["first_byte_time"]
    assert_nil all[5]["method"]
  end

  test "a request that no worker takes in time, and one whose client has gone, have a line" do |mode|
    server = serve_logged(mode, workers: 1, queue_depth: 1, queue_timeout: 2)
    held = gate
    Client.open(server.port) do |busy|
      busy.send_request("GET", "/hold?#{held.query}")
      held.await
      assert_equal 503, get(server).status
      entries(1)
      Client.open(server.port) do |gone|
        gone.send_request("GET", "/gone")
        gone.socket.setsockopt(:SOCKET, :LINGER, [1, 0].pack("ii")) # a reset: it has not only finished sending
      end
      eventually("the line of the client that has gone") { lines.size >= 2 }
      held.open
      busy.read_response
    end
    late, gone, busy = entries(3)
    assert_equal [503, "expired"], late.values_at("status", "end")
    assert_operator late["queue_time"], :>=, 2
    assert_nil late["app_time"]
    assert_equal ["/gone", 499, "disconnected", nil], gone.values_at("target", "status", "end", "first_byte_time")
    assert_equal [200, "complete"], busy.values_at("status", "end")
  end

  covers :log_requests
  def test_log_requests_decides_and_any_option_of_the_access_log_implies_it
    { {} => false, { access_log: path } => true, { access_log_sample: 2 } => true, { log_requests: true } => true,
      { access_log: path, log_requests: false } => false }.each do |options, logged|
      server = Kino::Server.new(Apps::Basic.new.freeze, **options)
      assert_equal logged, server.settings[:log_requests], options
    end
    server = serve(Apps::Basic.new, :threaded, access_log: path, log_requests: false)
    get(server)
    server.shutdown
    refute File.exist?(path)
  end

  covers :access_log_sample
  test "a sample has every n-th exchange, and all that failed" do |mode|
    server = serve_logged(mode, access_log_sample: 10)
    Client.open(server.port) { |client| 40.times { client.get("/") } }
    Client.open(server.port) { |client| 15.times { client.get("/missing") } }
    server.shutdown
    assert_equal({ 200 => 4, 404 => 15 }, entries(19).map { |entry| entry["status"] }.tally)
  end

  test "all lines are written when shutdown returns" do |mode|
    server = serve_logged(mode)
    Client.open(server.port) { |client| 500.times { client.get("/") } }
    assert server.shutdown
    assert_equal 500, lines.size
  end

  test "neither credentials nor forged lines of a hostile client get into any format" do |mode|
    ["combined", "common", '$remote_addr "$request" $status "$http_x_any" "$user_agent"', "json $http_x_any"].each_with_index do |format, index|
      file = "#{path}.#{index}"
      server = serve(Apps::Basic.new, mode, access_log: file, access_log_format: format, max_header_size: 8192)
      sent = hostile(server, Random.new(index))
      server.shutdown
      text = File.binread(file)
      assert_equal sent, text.lines.size, format
      refute_includes text, "SECRET", format
      refute_match(/[^\n\x20-\x7e]/n, text, format)
      if format.start_with?("json")
        text.each_line { |line| JSON.parse(line) }
      elsif format != "common"
        # Whatever is quoted ends where the format ends it.
        text.each_line { |line| assert_match(/\A[^"]+"[^"]*" \d{3} (\d+ )?"[^"]*" "[^"]*"\n\z/, line) }
      end
    end
  end

  # Sends requests that try to forge lines; the number of exchanges.
  def hostile(server, random)
    pieces = ["\" 200 0 \"", "\\", "\x1b[31m", "\x00", "\t", "\x7f", "\xff", "\xc2\x9b", "\r", "\n127.0.0.1 - - forged", "%0a", "{\"a\":1}", " ", "é"].map(&:b)
    80.times do
      junk = Array.new(random.rand(1..4)) { pieces.sample(random: random) }.join
      target = random.rand(3).zero? ? "/#{junk}" : "/?token=SECRET&a=b"
      Client.open(server.port) do |client|
        client.send_raw("GET #{target} HTTP/1.1\r\nHost: x\r\nX-Any: #{junk}\r\nUser-Agent: #{junk}\r\nReferer: http://u:SECRET@x/?password=SECRET\r\n".b +
                        "Authorization: Basic SECRET\r\nCookie: id=SECRET\r\nConnection: close\r\n\r\n")
        client.read_to_end
      rescue Errno::ECONNRESET, Errno::EPIPE
        # Refused while it was sending.
      end
    end
    80
  end

  test "HUP and a renamed file make the log go on in a new file" do |mode|
    start_child(mode)
    get(@child)
    eventually("a line") { File.exist?(path) && lines.size == 1 }
    File.rename(path, "#{path}.1")
    @child.signal("HUP")
    eventually("a new file") { get(@child) && File.exist?(path) && lines.size.positive? }
    File.rename(path, "#{path}.2")
    eventually("a new file without HUP") { get(@child) && File.exist?(path) && lines.size.positive? }
    File.unlink(path)
    eventually("a new file after removal") { get(@child) && File.exist?(path) && lines.size.positive? }
    @child.signal("TERM")
    assert_equal 0, @child.status
  end

  # A file with an app that fails except at "/".
  def rackup
    File.join(directory, "config.ru").tap do |file|
      File.write(file, <<~RUBY)
        class App
          def call(env) = [env["PATH_INFO"] == "/" ? 200 : 500, { "content-type" => "text/plain" }, ["x"]]
        end
        run App.new.freeze
      RUBY
    end
  end

  def start_child(mode, log: path)
    @child = Child.kino("-m", mode.to_s, "-w", "2", "--access-log", log, rackup)
  end

  # Starts kino with these streams on a Unix socket and returns its path when it listens.
  def start_kino(mode, *options, env: {}, **streams)
    socket = File.join(directory, "socket")
    command = [RbConfig.ruby, "-W:no-experimental", File.join(Child::ROOT, "exe/kino"), "-b", "unix://#{socket}", "-m", mode.to_s, "-w", "1",
               "--log-requests", *options, rackup]
    @pid = Process.spawn(Child.environment(env), *command, in: File::NULL, **streams)
    eventually("the server listens") { listens?(socket) }
    socket
  end

  def listens?(socket)
    UNIXSocket.open(socket).close
    true
  rescue Errno::ENOENT, Errno::ECONNREFUSED
    false
  end

  def end_kino
    return unless @pid

    Process.kill("KILL", @pid)
    Process.wait(@pid)
    @pid = nil
    FileUtils.rm_f(File.join(directory, "socket"))
  end

  def teardown
    end_kino
    super
  end

  test "stdout is a destination, apart from the server's own log" do |mode|
    start_child(mode, log: "stdout")
    get(@child, "/")
    @child.await_line(%r{^127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET / HTTP/1\.1" 200 1 "-" "-"$})
    @child.signal("TERM")
    assert_equal 0, @child.status
  end

  test "the status is coloured on a terminal, unless NO_COLOR is set" do |mode|
    { "" => "\e[32m200\e[0m", "1" => "200" }.each do |no_color, shown|
      terminal, follower = PTY.open
      socket = start_kino(mode, "--access-log-format", "<$status>", env: { "NO_COLOR" => no_color }, out: follower, err: File::NULL)
      follower.close
      Client.open(socket) { |client| client.get("/") }
      text = +""
      Timeout.timeout(20) { text << terminal.readpartial(1024) until text.include?(">") }
      assert_equal "<#{shown}>", text.chomp
    ensure
      terminal&.close
      end_kino
    end
  end

  test "lines that a stuck destination does not take are counted in the server's log, and requests are served" do |mode|
    reader, writer = IO.pipe
    errors, error_writer = IO.pipe
    nil until writer.write_nonblock("x" * 4096, exception: false) == :wait_writable
    socket = start_kino(mode, "--max-keep-alive", "10000", out: writer, err: error_writer)
    [writer, error_writer].each(&:close)
    # More than the log's queue holds.
    Client.open(socket) { |client| 1500.times { assert_equal 200, client.get("/", headers: { "User-Agent" => "a" * 4000 }).status } }
    Thread.new { nil while reader.read(65_536) }
    text = +""
    Timeout.timeout(30) { text << errors.readpartial(65_536) until text.match?(/^kino: \d+ log lines for stdout were dropped$/) }
  ensure
    end_kino
    [reader, errors].each(&:close)
  end

  def test_what_cannot_be_logged_to_is_refused_with_a_sentence
    { { access_log: "/no/such/directory/x" } => %r{cannot open the access log /no/such/directory/x: No such file or directory; choose another},
      { access_log: directory } => /cannot open the access log .*directory/i,
      { access_log_format: "combind" } => /"combind" is not a valid value for access_log_format; .*did you mean combined/,
      { access_log_format: "$http_cookie" } => /\$http_cookie, which carries credentials/ }.each do |options, message|
      error = assert_raises(Kino::ConfigError) { start_server(Apps::Basic.new.freeze, mode: :threaded, workers: 1, **options) }
      assert_match message, error.message
    end
  end

  def test_a_relative_path_is_that_of_the_start
    server = nil
    Dir.chdir(directory) { server = serve(Apps::Basic.new, :threaded, access_log: "relative.log") }
    get(server)
    server.shutdown
    assert_equal 1, File.readlines(File.join(directory, "relative.log")).size
  end
end
