# frozen_string_literal: true

require_relative "support/kept_client"
require_relative "support/process_table"
require_relative "support/server_test"

# Several processes serve one app: which of them answers, and what happens when one ends, hangs, or is replaced.
class ProcessesTest < ServerTest
  include ProcessTable

  APP = <<~RUBY
    app = lambda do |env|
      name = env["QUERY_STRING"]
      case env["PATH_INFO"]
      when "/hold"
        File.write("\#{name}.\#{Process.pid}.\#{Thread.current.object_id}", "")
        sleep 0.005 until File.exist?(name)
      when "/exit" then exit!(3)
      end
      [200, { "content-type" => "text/plain" }, [Process.pid.to_s]]
    end
    run app
  RUBY

  def start(*arguments, config: nil, env: {}, mode: "threaded")
    File.write(File.join(directory, "config.ru"), APP) unless File.exist?(File.join(directory, "config.ru"))
    File.write(File.join(directory, "kino.rb"), config) if config
    @child = Child.kino("-m", mode, "-w", "32", "-t", "1", "--processes", "2", *arguments, chdir: directory, env: env)
  end

  def stop(name = "TERM", pid: @child.pid)
    members = pids(pid)
    Process.kill(name, pid)
    assert_equal 0, @child.status, @child.log if pid == @child.pid
    assert_end [pid, *members]
  end

  # Ends whatever a failed test has left.
  def teardown
    @clients&.each(&:close)
    kill([@child.pid, *pids]) if @child && !@child.ended?
    kill(@others || [])
    super
  end

  # Those of the processes that serve.
  def pids(master = @child.pid)
    children_of(master).reject { |pid| title_of(pid).start_with?("kino control") }
  end

  def refused?
    TCPSocket.new("127.0.0.1", @child.port).close
    false
  rescue Errno::ECONNREFUSED
    true
  end

  def get(path = "/", port: @child.port)
    Client.open(port) { |client| client.get(path).body }
  end

  # Until each of the processes has answered; the clients close their connections.
  def assert_served_by(expected, port: @child.port)
    seen = []
    eventually("#{expected} have answered, and not only #{seen.uniq}") { (expected - (seen << get(port: port).to_i)).empty? }
  end

  # Clients with a request that is held, at least one in each process: by pid. The processes need a worker for each client.
  def hold_in_each
    held = Hash.new { |all, pid| all[pid] = [] }
    until (pids - held.keys).empty?
      before = arrived
      client = Client.new(@child.port).send_request("GET", "/hold?#{File.join(directory, "gate")}")
      (@clients ||= []) << client
      new = []
      eventually("it has arrived") { (new = arrived - before).any? }
      held[new.first[/\.(\d+)\./, 1].to_i] << client
    end
    held
  end

  # A file for each request that is held.
  def arrived = Dir.children(directory).grep(/\Agate\.\d+\./)

  # Lets the held requests go on; those of these processes are answered.
  def assert_answered(held)
    File.write(File.join(directory, "gate"), "")
    held.each { |pid, clients| clients.each { |client| assert_equal pid.to_s, client.read_response.body } }
  end

  def assert_end(members)
    eventually("they have ended") { members.none? { |pid| running?(pid) } }
  end

  covers :processes
  def test_each_process_serves_and_the_master_does_not
    start "--processes", "2", "--pidfile", "server.pid"
    members = pids
    assert_equal 2, members.size
    assert_served_by members
    assert_equal "#{@child.pid}\n", File.read(File.join(directory, "server.pid"))
    assert_match(/, in each of 2 processes$/, @child.log)
    assert_match(/\Akino master of 2 processes \(http:/, title_of(@child.pid))
    assert_equal ["kino process 1", "kino process 2"], members.map { |pid| title_of(pid)[/\A[^(]+(?= \()/] }.sort
    threads = Dir["/proc/#{@child.pid}/task/*/comm"].map { |file| File.read(file).chomp }
    assert_empty threads.grep(/kino/), "the master has native threads"
    stop
    refute_path_exists File.join(directory, "server.pid")
    assert_equal 1, @child.log.lines.grep(/^kino \d/).size, @child.log
    assert_equal 5, @child.log.lines.size, @child.log
  end

  covers :reuse_port
  def test_another_server_may_share_the_address
    start "--reuse-port"
    other = Kino::Server.new(Apps::Basic.new, mode: :threaded, workers: 1, port: @child.port, reuse_port: true).start
    assert_served_by pids
    stop
    assert_equal 200, Client.open(other.port) { |client| client.get("/").status }
  ensure
    other&.shutdown
  end

  def test_the_default_is_one_process_and_auto_one_for_each_cpu_in_threads
    app = Apps::Basic.new.freeze
    assert_equal 1, Kino::Server.new(app, mode: :threaded).processes
    assert_equal Kino.available_parallelism, Kino::Server.new(app, mode: :threaded, processes: "auto").processes
    assert_equal 1, Kino::Server.new(app, mode: :ractor, processes: :auto).processes
    assert_equal [Kino.available_parallelism / 2, 1].max, Kino::Server.new(app, mode: :ractor, processes: 2).settings[:concurrency]
    error = assert_raises(Kino::ConfigError) { Kino::Server.new(app, processes: 2).start }
    assert_match(/#run/, error.message)
  end

  def test_hooks_run_in_the_master_and_in_the_processes
    config = <<~RUBY
      module Record
        def self.call(name) = File.write("hooks", name + "\\n", mode: "a")
      end
      before_fork { |number| Record.call("before \#{number} \#{Process.pid}") }
      after_fork { |number| Record.call("after \#{number} \#{Process.pid}") }
      after_boot { Record.call("boot \#{Process.pid}") }
    RUBY
    File.write(File.join(directory, "config.ru"), "module App; def self.call(env) = [200, {}, [Process.pid.to_s]]; end; run App\n")
    MODES.each do |mode|
      start config: config, mode: mode.to_s
      members = pids
      calls = File.readlines(File.join(directory, "hooks"), chomp: true)
      assert_equal ["before 0 #{@child.pid}", "before 1 #{@child.pid}"], calls.grep(/before/)
      assert_equal [0, 1], calls.grep(/after/).map { |call| call[/after (\d)/, 1].to_i }.sort
      assert_equal members.sort, calls.grep(/after/).map { |call| call[/\d+\z/].to_i }.sort
      assert_equal members.sort, calls.grep(/boot/).map { |call| call[/\d+\z/].to_i }.sort
      assert_served_by members
      stop
      File.unlink(File.join(directory, "hooks"))
    end
  end

  # How many of so many connections opened at once each process has, by pid; they stay open.
  def connect_at_once(count)
    opened = Array.new(count) { Client.new(@child.port) }
    (@clients ||= []).concat(opened)
    opened.map { |client| client.get("/").body.to_i }.tally
  end

  # The kernel gives most of them to one process.
  def test_connections_that_come_at_once_are_shared_equally
    [2, 4].each do |count|
      start "--processes", count.to_s
      # Those that the system does not let run meanwhile get fewer; without sharing, eight times in a row do not happen.
      equal = 0
      eventually("each of #{count} processes has its share", seconds: 60) do
        shares = connect_at_once(64)
        @clients.each(&:close).clear
        equal = shares.keys.sort == pids.sort && shares.values.max <= 1.25 * 64 / count ? equal + 1 : 0
        equal == 8
      end
      stop
    end
  end

  # Although it has the fewest.
  def test_a_process_that_is_stuck_keeps_no_connection_waiting
    start
    connect_at_once(32)
    stuck, other = pids
    Process.kill("STOP", stuck)
    eventually("all of its threads have stopped") { stopped?(stuck) }
    clients = Array.new(200) { Client.new(@child.port).send_request("GET", "/") }
    @clients.concat(clients)
    assert_equal [other] * 200, clients.map { |client| client.read_response.body.to_i }
    Process.kill("CONT", stuck)
    stop
  end

  def test_a_crash_takes_only_the_requests_of_its_process
    start
    held = hold_in_each
    victim, survivor = held.keys
    Process.kill("KILL", victim)
    held[victim].each { |client| assert_raises(EOFError, Errno::ECONNRESET) { client.read_response } }
    @child.await_line(/process \d \(pid #{victim}\) ended with signal 9 \(KILL\); it is replaced/)
    @child.await_line(/process \d \(pid \d+\) is ready/)
    assert_answered held.slice(survivor)
    assert_equal 2, pids.size
    assert_served_by pids
    stop
  end

  # Under load: a connection is lost only with the process that had accepted it.
  def test_a_crash_under_load_loses_no_other_connection
    start
    lost = 0
    stop = false
    clients = Array.new(4) do
      Thread.new do
        until stop
          begin
            get
          rescue EOFError, SystemCallError
            lost += 1
          end
        end
      end
    end
    3.times do
      victim = pids.first
      from = @child.log.size
      Process.kill("KILL", victim)
      eventually("its replacement is ready") { @child.read_more || @child.log[from..].match?(/is ready$/) }
    end
    stop = true
    clients.each(&:join)
    assert_operator lost, :<=, 3 * clients.size, "each crash may interrupt one request of each client"
    assert_served_by pids
    stop()
  end

  def test_a_process_that_ends_by_itself_or_by_a_signal_is_replaced
    start
    gone = pids.first
    Process.kill("TERM", gone)
    @child.await_line(/\(pid #{gone}\) ended with status 0; it is replaced/)
    @child.await_line(/process \d \(pid \d+\) is ready/)
    gone = begin
      Client.open(@child.port) { |client| client.get("/exit") }
    rescue EOFError, Errno::ECONNRESET
      @child.await_line(/\(pid (\d+)\) ended with status 3; it is replaced/)[1].to_i
    end
    eventually("there are two again") { (pids - [gone]).size == 2 }
    assert_served_by pids
    stop
  end

  covers :process_start_timeout
  def test_a_process_that_never_becomes_ready_is_killed_and_replaced
    File.write(File.join(directory, "hang"), "")
    # Only the first one gets this file.
    start "--process-start-timeout", "3", config: <<~RUBY
      after_fork do |number|
        hang = begin
          number == 1 && File.rename("hang", "hung")
        rescue Errno::ENOENT
          false
        end
        sleep if hang
      end
    RUBY
    assert_match(/process 2 \(pid \d+\) was not ready within process_start_timeout \(3 s\), and is killed\n.*ended with signal 9 \(KILL\) before it was ready/, @child.log)
    assert_served_by pids
    stop
  end

  covers :process_timeout
  def test_a_process_without_a_sign_of_life_is_killed_and_replaced
    start "--process-timeout", "0.5"
    victim = pids.first
    Process.kill("STOP", victim)
    @child.await_line(/\(pid #{victim}\) has given no sign of life for process_timeout \(500 ms\).*is killed\n.*\(pid #{victim}\) ended with signal 9 \(KILL\)/)
    @child.await_line(/process \d \(pid \d+\) is ready/)
    assert_equal 1, @child.log.scan("no sign of life").size, @child.log
    assert_served_by pids
    stop
  end

  # A system without room for a process, until a file appears.
  def test_a_process_that_cannot_be_forked_is_tried_again
    start config: <<~RUBY
      full = Module.new do
        def fork(...)
          raise Errno::EAGAIN if File.exist?("full")

          super
        end
      end
      Object.prepend(full)
    RUBY
    before = pids
    File.write(File.join(directory, "full"), "")
    Process.kill("KILL", before.first)
    @child.await_line(/process \d cannot be started: Resource temporarily unavailable; trying again in \d\.\d s\n.*cannot be started.*trying again/)
    assert_equal before.last(1), pids
    assert_equal before.last.to_s, get
    File.unlink(File.join(directory, "full"))
    @child.await_line(/process \d \(pid \d+\) is ready/)
    File.write(File.join(directory, "full"), "")
    @child.signal("USR1")
    @child.await_line(/stays as it is, and so do those after it, because its replacement cannot be started: Resource/)
    assert_served_by pids
    assert_equal 2, pids.size
    stop
  end

  # Before they have traps of their own, where the master names them.
  def test_signals_do_not_end_processes_that_have_just_begun
    start "--control-bind", "unix://#{directory}/control", config: <<~RUBY
      Process.singleton_class.prepend(Module.new do
        def setproctitle(title)
          super
          %i[HUP USR1 USR2 INT QUIT CHLD].each { |name| kill(name, pid) } unless title.start_with?("kino master")
        end
      end)
    RUBY
    refute_match(/ended with/, @child.log)
    assert_served_by pids
    stop
  end

  def test_a_master_whose_processes_cannot_start_gives_up
    File.write(File.join(directory, "config.ru"), APP)
    File.write(File.join(directory, "kino.rb"), "after_fork { exit!(7) }\n")
    status, output = Child.output(File.join(Child::ROOT, "exe/kino"), "-p", "0", "-m", "threaded", "--processes", "2", chdir: directory)
    assert_equal 1, status
    assert_match(/^kino: process \d \(pid \d+\) has ended 5 times in a row right after its start/, output.lines.last)
    assert_match(/ended with status 7 before it was ready; it is replaced in 0\.1 s/, output)
  end

  # A directory for temporary files, which is empty at the end of these tests.
  def temporary = File.join(directory, "tmp").tap { |path| Dir.mkdir(path) unless File.exist?(path) }

  def test_the_processes_end_with_the_master_when_their_requests_are_answered
    start "--control-bind", "unix://#{directory}/control", env: { "TMPDIR" => temporary }
    held = hold_in_each
    @others = held.keys
    @child.signal("KILL")
    assert_equal "SIGKILL", @child.wait
    assert_equal 2, @child.await_line(/the master process has ended.*the master process has ended/m)[0].scan("the master").size
    assert_answered held
    assert_end held.keys
    eventually("nothing is left of them") { Dir.empty?(temporary) }
  end

  def test_nothing_is_left_if_the_control_process_starts_when_the_master_is_killed
    start "--control-bind", "unix://#{directory}/control", env: { "TMPDIR" => temporary }, config: <<~RUBY
      Process.singleton_class.prepend(Module.new do
        def setproctitle(title)
          super
          sleep 0.01 until !title.start_with?("kino control") || File.exist?("go")
        end
      end)
    RUBY
    Process.kill("KILL", pids.first) # It leaves its socket.
    @child.await_line(/process \d \(pid \d+\) is ready/)
    @others = pids
    @child.signal("KILL")
    @child.await_line(/the master process has ended.*the master process has ended/m)
    File.write(File.join(directory, "go"), "")
    eventually("nothing is left of it") { Dir.empty?(temporary) }
    @child.read_to_end
    refute_match(/EPIPE/, @child.log)
  end

  def test_the_second_signal_ends_all_at_once
    start "--control-bind", "unix://#{directory}/control", env: { "TMPDIR" => temporary }
    held = hold_in_each
    @child.signal("TERM")
    eventually("they refuse connections") { refused? }
    @child.signal("INT")
    assert_equal 1, @child.status, @child.log
    assert_end held.keys
    assert_empty Dir.children(temporary)
  end

  def test_a_stop_answers_what_has_arrived_and_refuses_further_connections
    start
    held = hold_in_each
    @child.signal("TERM")
    eventually("they refuse connections") { refused? }
    assert_answered held
    assert_equal 0, @child.status, @child.log
    assert_end held.keys
  end

  # Four clients that repeat the block while another one runs. Returns what the block has returned.
  def under_load(request)
    stop = false
    clients = Array.new(4) { Thread.new { [].tap { |answers| answers << request.call until stop } } }
    yield
    stop = true
    clients.flat_map(&:value)
  ensure
    stop = true
  end

  # One client opens a connection for each request, the others keep theirs until a response closes them.
  def kept
    KeptClient.open(@child.port) do |client|
      nil until rand < 0.05 || (response = client.get("/")).nil? || response.closes?
      response&.body
    end
  end

  # Each new process is ready before the old one leaves, and at most one is there in addition.
  def test_a_phased_restart_replaces_all_and_loses_nothing
    start
    before = pids
    answers = under_load(-> { rand < 0.5 ? get : kept }) do
      @child.signal("USR1")
      eventually("all have been replaced") do
        assert_includes 2..3, pids.size
        @child.read_more || @child.log.include?("restart: all processes have been replaced")
      end
    end
    refute_empty answers
    assert_empty pids & before
    assert_equal 2, pids.size
    assert_served_by pids
    stop
  end

  def test_a_phased_restart_ends_if_a_new_process_cannot_start
    start config: "after_fork { exit!(9) if File.exist?('broken') }\n"
    before = pids
    File.write(File.join(directory, "broken"), "")
    @child.signal("USR1")
    @child.await_line(/restart: process 1 stays as it is, and so do those after it, because its replacement/)
    assert_equal before.sort, pids.sort
    File.unlink(File.join(directory, "broken"))
    @child.signal("USR1")
    @child.await_line(/restart: all processes have been replaced/)
    assert_empty pids & before
    assert_served_by pids
    stop
  end

  # The successor's master has the sockets, and processes of its own.
  def test_a_new_program_takes_over_from_all_and_loses_nothing
    start "--pidfile", "server.pid"
    before = [@child.pid, *pids]
    fresh = nil
    answers = under_load(-> { rand < 0.5 ? get : kept }) do
      @child.signal("USR2")
      fresh = Integer(@child.await_line(/the new process \(pid (\d+)\) is ready/)[1])
      @others = [fresh, *pids(fresh)]
      assert_end before
    end
    refute_empty answers
    assert_equal "#{fresh}\n", File.read(File.join(directory, "server.pid"))
    assert_served_by pids(fresh)
    stop pid: fresh
    refute_path_exists File.join(directory, "server.pid")
  end

  def test_a_new_program_that_cannot_start_changes_nothing
    start
    before = pids
    File.write(File.join(directory, "config.ru"), "raise 'broken release'")
    @child.signal("USR2")
    @child.await_line(/restart: the new process \(pid \d+\) ended with status 1 before it was ready; this one serves on/)
    assert_equal before.sort, pids.sort
    assert_served_by before
    stop
  end

  # Logs notice by themselves that their file has been renamed, with a line; this one is opened without one.
  def test_hup_reaches_every_process
    start "--log-requests", "--access-log", "access.log"
    log = File.join(directory, "access.log")
    assert_served_by pids
    File.rename(log, "#{log}.1")
    @child.signal("HUP")
    eventually("it is opened again") { File.exist?(log) }
    stop
  end

  def test_a_unix_socket_belongs_to_the_master
    path = File.join(directory, "socket")
    start "-b", "127.0.0.1", "-b", "unix://#{path}?mode=0600"
    assert_equal 0o600, File.stat(path).mode & 0o777
    assert_served_by pids, port: path
    gone = pids.first
    Process.kill("TERM", gone)
    @child.await_line(/\(pid #{gone}\) ended with status 0/)
    assert_path_exists path
    assert_served_by pids - [gone], port: path
    stop
    refute_path_exists path
  end
end
