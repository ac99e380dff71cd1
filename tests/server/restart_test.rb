# frozen_string_literal: true

require_relative "support/kept_client"
require_relative "support/process_table"
require_relative "support/server_test"
require "kino/app/launch"

# Restart without downtime: USR2 starts the program again, with the sockets, and the old process stops when the new one is ready.
class RestartTest < ServerTest
  include ProcessTable

  APP = <<~RUBY
    app = lambda do |env|
      case env["PATH_INFO"]
      when "/hold"
        File.write("\#{env["QUERY_STRING"]}.arrived", "")
        sleep 0.005 until File.exist?(env["QUERY_STRING"])
      end
      [200, {}, ["%s \#{Process.pid}"]]
    end
    run app
  RUBY

  def release(text, into: directory)
    File.write(File.join(into, "config.ru"), format(APP.gsub("%s", "%<name>s"), name: text))
  end

  def start(*arguments, **rest)
    release("old") unless File.exist?(File.join(directory, "config.ru"))
    @child = Child.kino("-m", "threaded", "-w", "2", *arguments, chdir: directory, **rest)
  end

  def teardown
    kill(@pids || [])
    super
  end

  # Restarts and waits until the new process is ready; returns its pid.
  def restart
    from = @child.log.size
    @child.signal("USR2")
    successor(from)
  end

  def successor(from = 0)
    eventually("the new process is ready") do
      @child.read_more
      @child.log[from..][/restart: the new process \(pid (\d+)\) is ready/]
    end
    pid = @child.log[from..][/new process \(pid (\d+)\) is ready/, 1].to_i
    (@pids ||= []) << pid
    pid
  end

  def get(place, path = "/")
    Client.open(place) { |client| client.get(path).body }
  end

  # The old process may still accept a connection when it has heard that the new one is ready.
  def assert_served(text, place)
    eventually("#{text} is served") { get(place) == text }
  end

  # Ends the new process; the old one has ended by itself.
  def finish(pid)
    Process.kill("TERM", pid)
    assert_equal 0, @child.status, @child.log
    @pids.delete(pid)
  end

  def test_the_new_process_serves_and_the_old_one_answers_what_it_has
    start("--pidfile", "server.pid")
    old = @child.pid
    file = File.join(directory, "gate")
    held = Client.new(@child.port).send_request("GET", "/hold?#{file}")
    eventually("the handler runs") { File.exist?("#{file}.arrived") }
    release("new")
    pid = restart
    assert_served "new #{pid}", @child.port
    assert_equal "#{pid}\n", File.read(File.join(directory, "server.pid"))
    Process.kill(0, old)
    File.write(file, "")
    assert_equal "old #{old}", held.read_response.body
    finish(pid)
    refute_path_exists File.join(directory, "server.pid")
  ensure
    held&.close
  end

  # The new process has it from the sockets: its own choice would be another one.
  def test_a_port_that_the_system_chose_stays
    [["127.0.0.1:0"], ["localhost:0"], ["localhost:0", "--processes", "2"]].each do |where|
      start("-b", *where)
      port = @child.port
      pid = restart
      assert_match(/\Aold /, get(port))
      finish(pid)
      assert_equal 2, @child.log.scan(/^ +listening http:.*:#{port}$/).size, @child.log
      refute_includes @child.log, "is closed"
    end
  end

  def test_a_program_that_cannot_start_leaves_the_old_process_serving
    start("--pidfile", "server.pid")
    File.write(File.join(directory, "config.ru"), "raise 'broken release'")
    @child.signal("USR2")
    @child.await_line(/restart: the new process \(pid \d+\) ended with status 1 before it was ready; this one serves on/)
    assert_match(/broken release/, @child.log)
    assert_equal "old #{@child.pid}", get(@child.port)
    assert_equal "#{@child.pid}\n", File.read(File.join(directory, "server.pid"))
    release("mended")
    pid = restart
    assert_served "mended #{pid}", @child.port
    finish(pid)
  end

  def test_a_link_may_lead_to_another_release
    %w[one two].each { |name| Dir.mkdir(File.join(directory, name)).then { release(name, into: File.join(directory, name)) } }
    current = File.join(directory, "current")
    File.symlink("one", current)
    @child = Child.kino("-m", "threaded", "-w", "1", env: { "PWD" => current }, chdir: current)
    assert_equal "one #{@child.pid}", get(@child.port)
    File.unlink(current)
    File.symlink("two", current)
    pid = restart
    assert_served "two #{pid}", @child.port
    finish(pid)
  end

  def test_the_environment_is_that_of_the_first_start
    File.write(File.join(directory, "config.ru"), <<~RUBY)
      seen = ENV["KINO_TEST_SEEN"].inspect
      ENV["KINO_TEST_SEEN"] = "changed by the app"
      run ->(env) { [200, {}, [seen]] }
    RUBY
    start(env: { "KINO_TEST_SEEN" => "given" })
    assert_served '"given"', @child.port
    pid = restart
    assert_served '"given"', @child.port
    finish(pid)
  end

  def test_the_file_of_a_unix_socket_goes_with_the_last_process
    path = File.join(directory, "socket")
    start("-b", "127.0.0.1", "-b", "unix://#{path}")
    inode = File.stat(path).ino
    pid = restart
    assert_served "old #{pid}", path
    2.times { pid = restart_of(pid) }
    assert_equal inode, File.stat(path).ino
    finish(pid)
    refute_path_exists path
  end

  def restart_of(pid)
    from = @child.log.size
    Process.kill("USR2", pid)
    successor(from)
  end

  # Restarts; returns the pid of the new process, which has just been started.
  def begin_restart
    @child.signal("USR2")
    pid = @child.await_line(/restart: starting the new process \(pid (\d+)\)/)[1].to_i
    (@pids ||= []) << pid
    pid
  end

  # Likewise, with an app that never gets ready if there is a file "slow".
  def restart_slowly
    File.write(File.join(directory, "slow"), "")
    begin_restart
  end

  def assert_both_end(pid)
    @child.signal("TERM")
    assert_equal 0, @child.status, @child.log
    eventually("the new process has ended") { !running?(pid) }
    @pids.delete(pid)
  end

  def test_a_second_signal_is_told_of_the_first_and_the_end_is_for_both
    File.write(File.join(directory, "config.ru"), <<~RUBY)
      sleep if File.exist?("slow")
      run ->(env) { [200, {}, [Process.pid.to_s]] }
    RUBY
    start
    pid = restart_slowly
    @child.signal("USR2")
    @child.await_line(/restart: the new process \(pid #{pid}\) is being started already/)
    assert_equal @child.pid.to_s, get(@child.port)
    assert_both_end(pid)
  end

  # So does Ruby 3.1 with a signal that comes while Ruby itself starts.
  def test_a_new_process_that_loses_the_signal_ends_with_the_old_one
    File.write(File.join(directory, "config.ru"), <<~RUBY)
      if File.exist?("slow")
        trap("TERM") {}
        File.write("deaf", "")
        loop { sleep }
      end
      run ->(env) { [200, {}, [Process.pid.to_s]] }
    RUBY
    start
    pid = restart_slowly
    eventually("the new process loads the app") { File.exist?(File.join(directory, "deaf")) }
    assert_both_end(pid)
  end

  # It loses the signal, and is ready before the old process has answered what it has.
  def test_a_new_process_that_becomes_ready_after_all_ends_with_the_old_one
    %w[1 2].each do |number|
      release("old")
      start("--processes", number)
      held = Client.new(@child.port).send_request("GET", "/hold?#{File.join(directory, "gate")}")
      eventually("the handler runs") { File.exist?(File.join(directory, "gate.arrived")) }
      File.write(File.join(directory, "config.ru"), <<~RUBY)
        trap("TERM") {}
        File.write("deaf", "")
        sleep 0.01 until File.exist?("stopping")
        run ->(env) { [200, {}, ["new"]] }
      RUBY
      pid = begin_restart
      eventually("the new process loads the app") { File.exist?(File.join(directory, "deaf")) }
      idle = Client.new(@child.port)
      idle.get("/")
      @child.signal("TERM")
      eventually("the old one stops, and closes idle connections") { idle.socket.wait_readable(0) }
      File.write(File.join(directory, "stopping"), "")
      eventually("the new process has ended") { !running?(pid) }
      @pids.delete(pid)
      File.write(File.join(directory, "gate"), "")
      assert_match(/\Aold /, held.read_response.body)
      assert_equal 0, @child.status, @child.log
      %w[deaf stopping gate gate.arrived].each { |name| File.unlink(File.join(directory, name)) }
    ensure
      [held, idle].each { |client| client&.close }
    end
  end

  # kino with the sockets of a process +pid+, for which the test stands in. Yields the pipe on which it says that it is ready.
  def replace(pid, pipe: nil)
    release("new")
    socket = TCPServer.new("127.0.0.1", 0)
    reader, writer = IO.pipe
    replaces = [pid, 7, (pipe || writer).stat.ino, 8].join(":")
    @child = Child.new([RbConfig.ruby, "-W:no-experimental", File.join(Child::ROOT, "exe/kino"), "-p", "0", "-m", "threaded", "-w", "1"],
                       env: { Kino::Launch::REPLACES => replaces }, chdir: directory, 7 => writer, 8 => socket)
    writer.close
    @child.await_banner
    yield socket.addr[1], reader
  ensure
    [socket, reader].each { |io| io&.close }
  end

  def test_a_process_has_the_sockets_although_the_one_that_it_replaces_has_been_killed
    gone = Process.spawn("true")
    Process.wait(gone)
    replace(gone) do |port, pipe|
      assert_equal port, @child.port
      assert_equal Kino::Launch::READY, pipe.read
      assert_equal "new #{@child.pid}", get(port)
    end
  end

  def test_what_is_meant_for_another_process_is_left_alone
    other, = pipes = IO.pipe
    replace(Process.pid, pipe: other) do |port, _|
      refute_equal port, @child.port
      assert_equal "new #{@child.pid}", get(@child.port)
    end
  ensure
    pipes&.each(&:close)
  end

  # What the app forks while it is loaded keeps everything open that the process has.
  def forks
    'fork { sleep 0.01 until File.exist?("over") || !File.exist?("config.ru") }'
  end

  def test_a_new_process_is_ready_although_what_it_has_forked_keeps_its_pipe
    %w[1 2].each do |number|
      release("old")
      start("--processes", number)
      old = @child.pid
      File.write(File.join(directory, "config.ru"), "#{forks}\nrun ->(env) { [200, {}, ['new']] }\n")
      pid = restart
      eventually("the old one ends") { !running?(old) }
      assert_equal "new", get(@child.port)
      File.write(File.join(directory, "over"), "")
      finish(pid)
      File.unlink(File.join(directory, "over"))
    end
  end

  def test_a_new_process_has_failed_although_what_it_has_forked_keeps_its_pipe
    %w[1 2].each do |number|
      release("old")
      start("--processes", number)
      File.write(File.join(directory, "config.ru"), "#{forks}\nraise 'broken release'\n")
      2.times do
        from = @child.log.size
        @child.signal("USR2")
        eventually("it is told") { @child.read_more || @child.log[from..].match?(/ended with status 1 before it was ready/) }
      end
      assert_match(/\Aold /, get(@child.port))
      File.write(File.join(directory, "over"), "")
      @child.signal("TERM")
      assert_equal 0, @child.status, @child.log
      File.unlink(File.join(directory, "over"))
    end
  end

  def test_the_control_plane_goes_with_the_server
    path = File.join(directory, "control")
    start("--control-bind", "unix://#{path}")
    old = @child.pid
    file = File.join(directory, "gate")
    held = Client.new(@child.port).send_request("GET", "/hold?#{file}")
    eventually("the handler runs") { File.exist?("#{file}.arrived") }
    restarted = false
    # Never anything else, although the old process drains.
    probes = Thread.new { Client.open(path) { |client| assert_equal 200, client.get("/ready").status } until restarted }
    pid = restart
    100.times { Client.open(path) { |client| assert_equal 200, client.get("/ready").status } }
    restarted = true
    probes.value
    File.write(file, "")
    assert_equal "old #{old}", held.read_response.body
    finish(pid)
    refute_path_exists path
  ensure
    held&.close
  end

  # Restarts three times, while four threads repeat the block, which gets a callable that tells whether to stop. Returns
  # what it has returned, for each thread.
  def restart_under_load
    start
    pid = @child.pid
    stop = false
    clients = Array.new(4) do
      Thread.new { [].tap { |results| results << yield(-> { stop }) until stop } }
    end
    3.times { pid = restart_of(pid) }
    stop = true
    clients.map(&:value).tap { finish(pid) }
  end

  # Each request on a connection of its own: all of them are answered, by one of the processes.
  def test_no_connection_is_refused_or_lost_meanwhile
    results = restart_under_load { assert_match(/\Aold \d+\z/, get(@child.port)) }
    results.each { |answered| refute_empty answered }
  end

  # Clients keep their connections until a response closes them, and connect again.
  def test_no_request_on_a_kept_connection_is_lost_meanwhile
    results = restart_under_load do |stopped|
      KeptClient.open(@child.port) do |client|
        nil until stopped.call || (response = client.get("/")).nil? || response.closes?
        response&.closes?
      end
    end
    assert results.flatten.count(true) >= 3
  end
end
