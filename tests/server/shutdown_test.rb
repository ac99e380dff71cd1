# frozen_string_literal: true

require_relative "support/server_test"

# Shutdown: accepted requests get their responses, new connections are refused, requests that take too long are aborted.
class ShutdownTest < ServerTest
  # Handlers of all lengths.
  class Busy < Apps::Basic
    def stream(env)
      query = env["QUERY_STRING"]
      body = Enumerator.new do |out|
        out << "first"
        Gate.enter(query)
        out << "last"
      end
      [200, { "content-type" => "text/plain" }, body]
    end
  end

  def refused?(port)
    Client.new(port).close
    false
  rescue Errno::ECONNREFUSED
    true
  end

  # Calls shutdown on a Thread, and returns the Thread when the server no longer accepts connections.
  def shutdown_under_way(server, **options)
    stopping = Thread.new { server.shutdown(**options) }
    eventually("new connections are refused") { refused?(server.port) }
    stopping
  end

  test "an idle server stops and cannot be started again" do |mode|
    server = serve(Apps::Basic.new, mode)
    port = server.port
    idle = Client.new(port)
    idle.get("/")
    assert server.shutdown
    assert idle.closed_by_server?
    assert refused?(port)
    assert server.shutdown, "a second call is harmless"
    refute server.running?
    assert_equal 1, server.stats[:served], "the statistics remain"
    server.wait
    assert_raises(Kino::Error) { server.start }
  ensure
    idle&.close
  end

  test "requests in flight are completed, and their responses close the connections" do |mode|
    server = serve(Busy.new, mode, workers: 3)
    held = gate
    client = Client.new(server.port).send_request("GET", "/hold?#{held.query}")
    streaming = Client.new(server.port).send_request("GET", "/stream?#{held.query}")
    held.await(2)
    stopping = shutdown_under_way(server)
    assert stopping.alive?
    held.open
    response = client.read_response
    assert_equal [200, "held", true], [response.status, response.body, response.closes?]
    response = streaming.read_response
    assert_equal ["firstlast", true], [response.body, response.complete]
    assert stopping.value, "no request had to be aborted"
  ensure
    [client, streaming].compact.each(&:close)
  end

  test "queued requests are served" do |mode|
    server = serve(Busy.new, mode, workers: 1)
    held = gate
    clients = Array.new(6) { Client.new(server.port).send_request("GET", "/hold?#{held.query}") }
    held.await
    eventually("five wait") { server.stats[:queued] == 5 }
    stopping = shutdown_under_way(server)
    held.open
    clients.each { |client| assert_equal [200, "held"], client.read_response.then { |r| [r.status, r.body] } }
    assert stopping.value
    assert_equal 6, server.stats[:served]
  ensure
    clients&.each(&:close)
  end

  test "a worker that dies while the server drains is replaced, and queued requests are served" do |mode|
    server = serve(Dying.new, mode, workers: 1)
    held = gate
    dying = Client.new(server.port).send_request("GET", "/die?#{held.query}")
    held.await
    queued = Array.new(3) { Client.new(server.port).send_request("GET", "/") }
    eventually("three wait") { server.stats[:queued] == 3 }
    stopping = shutdown_under_way(server)
    logged do
      held.pass
      assert_equal 500, dying.read_response.status
      queued.each { |client| assert_equal 200, client.read_response.status }
      assert stopping.value
    end
  ensure
    [dying, *queued].compact.each(&:close)
  end

  # A handler that waits and then ends its worker.
  class Dying < Apps::Basic
    def die(env)
      Gate.enter(env["QUERY_STRING"])
      raise Exception, "while draining"
    end
  end

  test "requests still in flight after the timeout are aborted" do |mode|
    server = serve(Busy.new, mode, workers: 3)
    held = gate
    waiting = Client.new(server.port).send_request("GET", "/hold?#{held.query}")
    streaming = Client.new(server.port).send_request("GET", "/stream?#{held.query}")
    held.await(2)
    streaming.read_head
    assert_equal "first", streaming.read_chunk
    log = logged do
      stopping = Thread.new { server.shutdown(timeout: 0.1) }
      response = waiting.read_response
      assert_equal [500, true], [response.status, response.closes?]
      assert_raises(EOFError, Errno::ECONNRESET) { streaming.read_chunk }
      held.open
      refute stopping.value, "two requests were aborted"
    end
    assert_includes log, "kino: shutdown: not finished within 100 ms and aborted: requests 2, connections 2\n"
  ensure
    [waiting, streaming].compact.each(&:close)
  end

  # Waits for a writer of a named pipe.
  class Stuck
    def call(env) = [200, {}, [File.read(env["QUERY_STRING"])]]
  end

  test "workers that do not end are named with their requests and, if Ruby tells it, where they are" do |mode|
    pipe = File.join(directory, "pipe")
    File.mkfifo(pipe)
    { { quarantine_timeout: 600 } => "GET /report", {} => "a request" }.each do |options, request|
      server = serve(Stuck.new, mode, workers: 2, lint: false, **options)
      client = Client.new(server.port).send_request("GET", "/report?#{pipe}")
      eventually("a worker has it") { server.stats[:in_flight] == 1 }
      log = logged { refute server.shutdown(timeout: 0.1) }
      assert_match(/^kino: worker \d has had #{request} for \d+\.\d s and does not end/, log)
      assert_match(/^kino: worker \d is at:\n.*shutdown_test\.rb:\d+:in /, log) if mode == :threaded
    ensure
      client&.close
      release(pipe)
    end
  end

  # Lets a worker go that could not be killed.
  def release(pipe)
    File.open(pipe, File::WRONLY | File::NONBLOCK, &:close)
  rescue Errno::ENXIO
    nil # it could
  end

  test "a start that fails leaves nothing behind" do |mode|
    server = serve(Apps::Basic.new, mode)
    error = assert_raises(Kino::BindError) { serve(Apps::Basic.new, mode, port: server.port) }
    assert_match(/pid #{Process.pid}/, error.message)
    # The server that failed is stopped; stopping it again is harmless.
    @servers.last.shutdown
    @servers.last.wait
    assert_healthy(server)
  end

  test "a process can run twenty servers one after the other, and three at once" do |mode|
    20.times do
      server = serve(Apps::Basic.new, mode)
      Client.open(server.port) { |client| assert_equal 200, client.get("/").status }
      assert server.shutdown
    end
    servers = Array.new(3) { serve(Apps::Basic.new, mode) }
    servers.each { |server| assert_healthy(server) }
  end

  # The tests below stop processes with signals.

  def child(mode, app, **rest)
    path = write("config.ru", <<~RUBY)
      require #{File.expand_path("support/apps", __dir__).inspect}
      class Busy < Apps::Basic
        # Files instead of a Gate, because this process does not inherit the test's pipes.
        def hold(env)
          env["QUERY_STRING"] =~ /file=(.*)/
          File.write("\#$1.arrived", "")
          sleep 0.005 until File.exist?($1)
          Apps.text("held")
        end
        def forever(env)
          env["QUERY_STRING"] =~ /file=(.*)/
          File.write("\#$1.arrived", "")
          sleep
        end
        def spin(env)
          env["QUERY_STRING"] =~ /file=(.*)/
          File.write("\#$1.arrived", "")
          loop { Thread.pass }
        end
      end
      run Busy.new.freeze
    RUBY
    (@children ||= []).push(Child.kino("-m", mode.to_s, "-w", "2", "-t", "1", *app, path, **rest)).last
  end

  def teardown
    super
    @children&.each(&:finish)
    @directories&.each { |path| FileUtils.rm_rf(path) }
  end

  # Sends a request and waits until its handler runs; returns the file that lets the handler continue.
  def arrive(client, action)
    file = File.join(@directories.last, "gate")
    client.send_request("GET", "/#{action}?file=#{file}")
    eventually("the handler runs") { File.exist?("#{file}.arrived") }
    file
  end

  %w[INT TERM QUIT].each do |signal|
    test "#{signal} ends the process with 0" do |mode|
      process = child(mode, [])
      Client.open(process.port) { |client| assert_equal 200, client.get("/").status }
      process.signal(signal)
      assert_equal 0, process.status, process.log
    end
  end

  test "a request in flight is completed after a signal" do |mode|
    process = child(mode, [])
    Client.open(process.port) do |client|
      file = arrive(client, "hold")
      process.signal("TERM")
      eventually("new connections are refused") { refused?(process.port) }
      File.write(file, "")
      assert_equal "held", client.read_response.body
    end
    assert_equal 0, process.status, process.log
  end

  test "a second signal ends the process immediately with status 1" do |mode|
    process = child(mode, [])
    Client.open(process.port) do |client|
      arrive(client, "forever")
      process.signal("TERM")
      eventually("new connections are refused") { refused?(process.port) }
      process.signal("INT")
      assert_equal 1, process.status, process.log
    end
  end

  covers :drain_delay
  test "during drain_delay, connections are accepted, and responses close them" do |mode|
    process = child(mode, ["--drain-delay", "3600", "--control-bind", "unix://#{socket = File.join(directory, "control")}"])
    kept = Client.new(process.port)
    assert_equal 200, Client.open(socket) { |client| client.get("/ready").status }
    refute_predicate kept.get("/"), :closes?
    process.signal("TERM")
    eventually("responses close their connections") { Client.open(process.port) { |client| client.get("/").closes? } }
    assert_predicate kept.get("/"), :closes?
    assert_equal 503, Client.open(socket) { |client| client.get("/ready").status }
    process.signal("INT")
    assert_equal 1, process.status, process.log
  ensure
    kept&.close
  end

  # As from a terminal and from a parent process that forwards its signals.
  test "a signal that arrives twice at once counts as one" do |mode|
    process = child(mode, [])
    Client.open(process.port) do |client|
      file = arrive(client, "hold")
      2.times { process.signal("TERM") }
      eventually("new connections are refused") { refused?(process.port) }
      File.write(file, "")
      assert_equal "held", client.read_response.body
    end
    assert_equal 0, process.status, process.log
  end

  test "HUP stops a server whose terminal was closed" do |mode|
    process = Child.ruby("-e", <<~RUBY)
      require "kino"
      require "pty"
      class App
        def call(_env) = [200, {}, ["hello"]]
      end
      banner = $stderr.dup
      terminal, log = PTY.open
      $stderr.reopen(log)
      Kino::Server.new(App.new.freeze, mode: #{mode.inspect}, workers: 2).run(banner: banner)
      terminal.close
    RUBY
    Client.open(process.port) { |client| assert_equal 200, client.get("/").status }
    process.signal("HUP")
    assert_equal 0, process.status, process.log
  ensure
    process&.finish
  end

  test "a stop says what it waits for, if there is something" do |mode|
    process = child(mode, ["--shutdown-timeout", "50"])
    Client.open(process.port) do |client|
      file = arrive(client, "hold")
      process.signal("TERM")
      process.await_line(/^kino: stopping: 1 request has up to 50 s to finish; a second signal ends the process at once$/)
      File.write(file, "")
      assert_equal 200, client.read_response.status
    end
    assert_equal 0, process.status, process.log

    process = child(mode, [])
    process.signal("TERM")
    assert_equal 0, process.status
    refute_includes process.log, "stopping:"
  end

  %w[forever spin].each do |action|
    covers :shutdown_timeout
    test "a handler that #{action == "spin" ? "spins" : "sleeps"} forever cannot keep the process alive" do |mode|
      process = child(mode, ["--shutdown-timeout", "0.1"])
      Client.open(process.port) do |client|
        arrive(client, action)
        process.signal("TERM")
        assert_equal 500, client.read_response.status
      end
      assert_equal 0, process.status, process.log
    end
  end

  test "HUP does not stop a server whose log is not a terminal" do |mode|
    process = child(mode, [])
    process.signal("HUP")
    Client.open(process.port) { |client| assert_equal 200, client.get("/").status }
    process.signal("TERM")
    assert_equal 0, process.status, process.log
  end

  # Ruby raises a SignalException for it in the main thread.
  %w[ALRM].each do |signal|
    test "after #{signal}, a request in flight is completed and the socket's file removed" do |mode|
      directory = Dir.mktmpdir("kino")
      path = File.join(directory, "socket")
      process = child(mode, ["-b", "tcp://127.0.0.1", "-b", "unix://#{path}"])
      Client.open(process.port) do |client|
        file = arrive(client, "hold")
        process.signal(signal)
        eventually("new connections are refused") { refused?(process.port) }
        File.write(file, "")
        assert_equal "held", client.read_response.body
      end
      assert_equal "SIG#{signal}", process.status, process.log
      refute File.exist?(path)
    ensure
      FileUtils.rm_rf(directory)
    end
  end

  test "TERM ends a process whose server cannot start any worker" do |mode|
    process = child_program(<<~RUBY)
      require "kino"
      class Never < Kino::Topology::Spec
        def name = "the only worker"
        def start = raise(ThreadError, "no more of them")
      end
      Kino::Topology.define_singleton_method(:specs) { |*| [Never.new(nil, nil, 0, nil)] }
      Kino::Supervisor.send(:remove_const, :START_ATTEMPTS)
      Kino::Supervisor.const_set(:START_ATTEMPTS, 1_000_000)
      module App
        def self.call(_env) = [200, {}, []]
      end
      Kino::Server.run(App, mode: #{mode.inspect}, workers: 1)
    RUBY
    process.await_line(/the only worker could not start/)
    process.signal("TERM")
    assert_equal 0, process.status, process.log
  end

  test "a process forked by a handler sends no response" do |mode|
    skip "Ruby cannot fork in a Ractor" if mode == :ractor
    path = write("config.ru", <<~RUBY)
      class Forking
        def call(env)
          case env["PATH_INFO"]
          when "/fork" then pid = fork
          when "/fork-raise" then pid = fork or raise("in the child")
          when "/fork-exit" then pid = fork or exit
          when "/fork-stream"
            pid = fork
            return [200, { "content-type" => "text/plain" }, proc { |stream| stream.write(pid ? "parent" : "child"); Process.wait(pid) if pid; stream.close }]
          end
          Process.wait(pid) if pid
          [200, { "content-type" => "text/plain" }, [pid || env["PATH_INFO"] == "/" ? "parent" : "child"]]
        end
      end
      run Forking.new
    RUBY
    directory = File.dirname(path)
    process = (@children ||= []).push(Child.kino("-m", mode.to_s, "-w", "2", "-t", "1", "-b", "tcp://127.0.0.1", "-b", "unix://#{directory}/socket", path)).last
    Client.open(process.port) do |client|
      %w[/fork /fork-raise /fork-exit /fork-stream / /fork /].each do |target|
        assert_equal "parent", client.get(target).body, target
      end
    end
    assert File.socket?("#{directory}/socket"), "a child removed the socket's file"
    process.signal("TERM")
    assert_equal 0, process.status, process.log
    assert_match(/returned from the handler/, process.log)
  end

  # Writes a file to a new directory, which is removed after the test; returns its path.
  def write(name, text)
    (@directories ||= []) << Dir.mktmpdir("kino")
    File.join(@directories.last, name).tap { |path| File.write(path, text) }
  end

  def child_program(text)
    (@children ||= []).push(Child.new([RbConfig.ruby, "-W:no-experimental", write("program.rb", text)])).last
  end

  test "USR1 logs the statistics" do |mode|
    process = child(mode, [])
    Client.open(process.port) { |client| client.get("/") }
    process.signal("USR1")
    process.await_line(/^kino: stats queued=0 .* served=\d+ .* queue_time\.count=1 .* mode=#{mode} .* busy=\d+ longest_ms=\d+$/)
    process.signal("TERM")
    assert_equal 0, process.status, process.log
  end
end
