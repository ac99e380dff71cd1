# frozen_string_literal: true

require "json"

require_relative "support/server_test"
require "kino/control/command"

# kino ctl, against servers in child processes and in this one.
class ControlCommandTest < ServerTest
  TOKEN = "tests-only-0123456789"
  DONE, NOT_SO, UNREACHABLE, WRONG = 0, 1, 2, 3

  def setup
    super
    @socket = File.join(directory, "control.sock")
  end

  def control(*arguments, env: {}, chdir: directory)
    Child.output(File.join(Child::ROOT, "exe/kino"), "ctl", *arguments, env: env, chdir: chdir)
  end

  def control_here(*arguments)
    control("--control", "unix://#{@socket}", *arguments)
  end

  def start_child(source, *arguments, **rest)
    File.write(rackup = File.join(directory, "config.ru"), source)
    @child = Child.kino("-w", "1", "-t", "2", "-m", "threaded", "--control-bind", "unix://#{@socket}", *arguments, rackup, **rest)
  end

  test "stats and workers are printed for people, and as JSON" do |mode|
    server = serve(Apps::Basic.new, mode, control_bind: "unix://#{@socket}")
    held = gate
    Client.open(server.port) do |client|
      client.send_request("GET", "/hold?#{held.query}")
      held.await
      status, text = control_here("workers")
      assert_equal DONE, status
      assert_match(/^slot +thread +served +busy +request$/, text)
      assert_equal 1, text.scan(%r{^\d+ +\d+ +0 +\S.* GET /hold$}).size, text
      _, json = control_here("workers", "--json")
      assert_equal ["/hold"], JSON.parse(json)["workers"].filter_map { |worker| worker.dig("request", "path") }
      _, stats = control_here("stats")
      assert_match(/^in_flight +1$/, stats)
      assert_match(/^queue_time.count +1$/, stats)
      assert_match(/^kino_requests_in_flight 1$/, control_here("metrics").last)
      assert_equal mode.to_s, JSON.parse(control_here("stats", "--json").last)["mode"]
      held.open
      client.read_response
    end
  end

  test "workers --backtraces shows where the Threads of the main Ractor are", modes: [:threaded] do |mode|
    serve(Apps::Basic.new, mode, control_bind: "unix://#{@socket}")
    status, text = control_here("workers", "--backtraces")
    assert_equal DONE, status
    assert_match(/^kino worker 0 \(thread \d+, sleep\)$/, text)
    assert_match(/^main \(thread \d+, \w+\)$/, text)
  end

  test "ready and stop: the server drains and its process ends", modes: [:threaded] do |_mode|
    start_child("run ->(_) { [200, {}, []] }\n")
    assert_equal [DONE, "ready\n"], control_here("ready")
    assert_equal [DONE, "stopping\n"], control_here("stop")
    assert_equal 0, @child.status
    status, text = control_here("ready")
    assert_equal UNREACHABLE, status
    assert_match(/\Akino ctl: no control plane answers at unix:\S+ \(.*\); is the server running, with this control_bind\?\n\z/, text)
  end

  test "stop ends a server that a program has started", modes: [:threaded] do |mode|
    server = serve(Apps::Basic.new, mode, control_bind: "unix://#{@socket}")
    assert_equal DONE, control_here("stop").first
    server.wait
    refute_predicate server, :running?
  end

  test "reload reopens logs", modes: [:threaded] do |mode|
    server = serve(Apps::Basic.new, mode, control_bind: "unix://#{@socket}", access_log: log = File.join(directory, "access.log"))
    Client.open(server.port) { |client| client.get("/") }
    eventually("a line") { File.exist?(log) && File.size(log).positive? }
    File.rename(log, "#{log}.1")
    assert_equal DONE, control_here("reload").first
    eventually("the file is back") { File.exist?(log) }
  end

  test "log-level changes the loggers of the application", modes: [:threaded] do |_mode|
    start_child(<<~RUBY)
      require "kino/logger"
      logger = Kino::Logger.new($stderr, level: :info)
      run ->(_) { logger.debug("debugging"); [200, {}, []] }
    RUBY
    Client.open(@child.port) { |client| client.get("/") }
    assert_equal [DONE, "level debug: 1 logger set\n"], control_here("log-level", "debug")
    Client.open(@child.port) { |client| client.get("/") }
    @child.await_line(/debugging/)
    status, text = control_here("log-level", "debgu")
    assert_equal NOT_SO, status
    assert_equal "kino ctl: cannot log from \"debgu\": a level is one of debug, info, warn, error, fatal, unknown; did you mean debug?\n", text
    @child.signal("TERM")
    @child.status
    assert_equal 1, @child.log.scan("debugging").size
  end

  test "the address and the token come from the configuration file or the environment", modes: [:threaded] do |mode|
    server = serve(Apps::Basic.new, mode, control_bind: "127.0.0.1:0", control_token: TOKEN)
    address = server.control_urls.first.delete_prefix("http://")
    assert_match(/control_token/, control("--control", address, "stats").last)
    assert_equal NOT_SO, control("--control", address, "stats").first
    assert_equal DONE, control("stats", env: { "KINO_CONTROL_BIND" => address, "KINO_CONTROL_TOKEN" => TOKEN }).first
    File.write(File.join(directory, "kino.rb"), "control_bind #{address.inspect}\ncontrol_token #{TOKEN.inspect}\n")
    assert_equal DONE, control("stats").first
    File.write(token = File.join(directory, "token"), TOKEN, perm: 0o600)
    File.write(config = File.join(directory, "other.rb"), "control_bind #{address.inspect}\ncontrol_token \"@#{token}\"\n")
    assert_equal DONE, control("-C", config, "stats").first
    assert_equal({ "status" => 401 }, JSON.parse(control("--control", address, "--json", "stats", env: { "KINO_CONTROL_TOKEN" => "x" * 16 }).last).slice("status"))
  end

  test "a pidfile leads to the control plane", modes: [:threaded] do |mode|
    pidfile = File.join(directory, "kino.pid")
    server = serve(Apps::Basic.new, mode, control_bind: "127.0.0.1:0", pidfile: pidfile)
    status, text = control("--pidfile", pidfile, "ready")
    assert_equal [DONE, "ready\n"], [status, text]
    # Like the address, the pidfile may come from the configuration.
    assert_equal DONE, control("ready", env: { "KINO_PIDFILE" => pidfile }).first
    File.write(File.join(directory, "kino.rb"), "pidfile #{pidfile.inspect}\n")
    assert_equal DONE, control("ready").first
    File.chmod(0o666, "#{pidfile}.control")
    assert_match(/may have been written by another user/, control("--pidfile", pidfile, "ready").last)
    server.shutdown
    refute File.exist?("#{pidfile}.control")
    assert_match(/no server runs, or it has another pidfile: cannot read/, control("--pidfile", pidfile, "ready").last)
  end

  test "a pidfile without a control plane, or of a process that has ended, is told from others", modes: [:threaded] do |mode|
    pidfile = File.join(directory, "kino.pid")
    File.write("#{pidfile}.control", "127.0.0.1:1\n") # of a process that was killed
    serve(Apps::Basic.new, mode, pidfile: pidfile)
    assert_equal [WRONG, "kino ctl: the server of #{pidfile} (pid #{Process.pid}) has no control plane; it needs control_bind\n"],
                 control("--pidfile", pidfile, "ready")
    ended = Process.spawn("true").tap { |pid| Process.wait(pid) }
    { "#{ended}\n" => /no server runs: \S+ names the process #{ended}, which has ended/, "words" => /is no pidfile/ }.each do |content, sentence|
      File.write(other = File.join(directory, "other.pid"), content)
      status, text = control("--pidfile", other, "ready")
      assert_equal WRONG, status
      assert_match sentence, text
    end
  end

  def test_after_a_restart_the_pidfile_leads_to_the_new_process
    pidfile = File.join(directory, "kino.pid")
    start_child("run ->(_) { [200, {}, []] }\n", "--pidfile", pidfile)
    assert_equal DONE, control("--pidfile", pidfile, "ready").first
    @child.signal("USR2")
    assert_equal 0, @child.wait
    refute_equal @child.pid, successor = File.read(pidfile).to_i
    assert_equal DONE, control("--pidfile", pidfile, "ready").first
    assert_equal DONE, control("--pidfile", pidfile, "stop").first
    eventually("it has ended") { !File.exist?(pidfile) }
    successor = nil
  ensure
    Process.kill("KILL", successor) if successor
  end

  test "several processes have one pidfile, which leads to their control plane", modes: [:threaded] do |_mode|
    pidfile = File.join(directory, "kino.pid")
    start_child("run ->(_) { [200, {}, []] }\n", "--processes", "2", "--pidfile", pidfile)
    assert_equal [DONE, "ready\n"], control("--pidfile", pidfile, "ready")
  end

  def test_mistakes_are_sentences
    { [] => /what should it do\? stats, workers/, %w[stat] => /unknown command stat; did you mean stats\?/,
      %w[stats now] => /stats takes no argument, not now/, %w[log-level] => /log-level needs a level, such as debug/,
      %w[stats] => /where is the control plane\?/, %w[--nonsense stats] => /invalid option: --nonsense/ }.each do |arguments, sentence|
      status, text = control(*arguments)
      assert_equal WRONG, status
      assert_match(/\Akino ctl: .*#{sentence.source}/, text)
      assert_equal 1, text.lines.size
    end
    assert_match(/^Usage: kino ctl/, control("--help").last)
  end

  # Of other programs, and of a process that ends while it answers.
  ANSWERS = ["", "\n", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"workers\":",
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 200 OK\r\nBad Header\r\n\r\n",
             *["[]", "null", "{}", "\xff\xfe{", "<html>\e[31m"].map { |body| "HTTP/1.1 200 OK\r\nContent-Length: #{body.bytesize}\r\n\r\n#{body}" },
             "HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\n\e[31mred\n"].freeze

  def test_whatever_answers_it_is_a_sentence
    UNIXServer.open(@socket) do |server|
      # In this process: it starts quickly.
      %w[stats workers metrics ready reload].each do |name|
        ANSWERS.each do |answer|
          answering = Thread.new { server.accept.tap { |client| client.readpartial(4096) && client.write(answer) }.close }
          out, err = StringIO.new, StringIO.new
          status = Kino::ControlCommand.new(["--control", "unix://#{@socket}", name], out: out, err: err).run
          answering.join
          assert_includes [DONE, NOT_SO, UNREACHABLE], status
          refute_equal DONE, status, answer if %w[stats workers metrics].include?(name)
          refute_match(/\e/, out.string + err.string)
          assert_operator (out.string + err.string).lines.size, :<=, 1, answer
        end
      end
    end
  end

  def test_an_answer_counts_although_the_server_has_closed_before_the_whole_request_was_written
    client = Kino::ControlClient.new(Kino::Address.new(path: @socket), "")
    client.define_singleton_method(:connect) do
      own, other = UNIXSocket.pair
      other.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nstopping\n")
      other.close
      own
    end
    assert_equal "stopping\n", client.post("/stop").body
  end

  def test_files_that_are_no_pidfiles_are_sentences
    path = File.join(directory, "server.pid")
    files = { path => ->(name) { File.mkfifo(name) }, "#{path}.control" => ->(name) { File.mkfifo(name) } }
    contents = ["\xff\n".b, "\n", "redis://x\n", "x" * 100_000, "http://\e[31m\n", "unix:///#{"x" * 200}\n"]
    files.each_with_index do |(name, make), index|
      File.write(path, "#{Process.pid}\n") if index == 1
      make.call(name)
      status, text = control("--pidfile", path, "stats")
      assert_equal [WRONG, 1], [status, text.lines.size], text
      File.unlink(name)
    end
    contents.each do |content|
      File.binwrite("#{path}.control", content)
      status, text = control("--pidfile", path, "stats")
      assert_includes [WRONG, UNREACHABLE], status
      assert_equal 1, text.lines.size, text
    end
  end

  def test_a_stuck_ruby_is_told_of
    start_child("n = 3**2_000_000\nrun ->(_) { File.write(#{File.join(directory, "begun").inspect}, ''); 100_000.times { n * n }; [200, {}, []] }\n")
    client = Client.new(@child.port).send_request("GET", "/")
    eventually("the handler has begun") { File.exist?(File.join(directory, "begun")) }
    status, text = control_here("workers")
    assert_equal DONE, status
    assert_match(%r{ GET /$}, text)
  ensure
    client&.close
  end
end
