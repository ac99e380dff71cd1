# frozen_string_literal: true

require_relative "support/process_table"
require_relative "support/server_test"
require "kino/control/client"
require "socket"
require "kino/listen/inherited_sockets"

# What systemd gives a service and wants to know of it, with the test in its place: listening sockets, messages, the watchdog.
class SystemdTest < ServerTest
  include ProcessTable

  def setup
    super
    File.write(File.join(directory, "config.ru"), "run ->(env) { [200, {}, [Process.pid.to_s]] }\n")
    @open = []
  end

  def teardown
    super
    @open.each { |socket| socket.close unless socket.closed? }
  end

  def opened(socket) = socket.tap { @open << socket }

  # kino, started by a shell that sets LISTEN_PID, as only the new process can know its pid.
  def activate(*arguments, sockets: [], env: {})
    passed = sockets.each_with_index.to_h { |socket, place| [3 + place, socket] }
    command = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", RbConfig.ruby, "-W:no-experimental", "-w", File.join(Child::ROOT, "exe/kino"),
               "-m", "threaded", "-w", "1", *arguments]
    @child = Child.new(command, env: { "LISTEN_FDS" => sockets.size.to_s }.merge(env), chdir: directory, **passed)
  end

  def listening
    opened(TCPServer.new("127.0.0.1", 0))
  end

  def get(place)
    Client.open(place) { |client| client.get("/").body }
  end

  def stop
    @child.signal("TERM")
    assert_equal 0, @child.status, @child.log
  end

  def test_a_server_without_addresses_listens_on_the_sockets_that_systemd_passes
    tcp = listening
    path = File.join(directory, "socket")
    unix = opened(UNIXServer.new(path))
    activate(sockets: [tcp, unix])
    @child.await_banner
    assert_equal tcp.addr[1], @child.port
    assert_match(/listening http:\/\/127\.0\.0\.1:#{tcp.addr[1]}, unix:\/\/#{path}$/, @child.log)
    assert_equal @child.pid.to_s, get(@child.port)
    assert_equal @child.pid.to_s, get(path)
    stop
    assert_path_exists path, "it is systemd's file"
  end

  def test_named_addresses_take_their_sockets_and_the_others_are_closed_with_a_sentence
    mine = listening
    others = listening
    abstract = "kino-test-#{Process.pid}-#{rand(1 << 30)}"
    unix = opened(Socket.new(:UNIX, :STREAM))
    unix.bind(Addrinfo.unix("\0#{abstract}"))
    unix.listen(5)
    activate("-b", "127.0.0.1:#{mine.addr[1]}", "-b", "unix://@#{abstract}", sockets: [others, mine, unix])
    @child.await_banner
    assert_match(/kino: the inherited socket http:\/\/127\.0\.0\.1:#{others.addr[1]} is closed, because no address of this server is the same/, @child.log)
    assert_equal mine.addr[1], @child.port
    assert_equal @child.pid.to_s, get(@child.port)
    assert_equal @child.pid.to_s, get("\0#{abstract}")
    stop
  end

  def test_what_is_no_listening_socket_is_refused_with_a_sentence
    file = opened(File.open(File::NULL))
    { opened(UDPSocket.new) => /descriptor \d+ is no listening stream socket; in a \.socket unit, use ListenStream=/,
      opened(Socket.new(:INET, :STREAM)) => /descriptor \d+ is no listening stream socket/,
      file => /an inherited descriptor cannot be used as a socket/ }.each do |passed, sentence|
      activate(sockets: [passed])
      assert_equal 1, @child.status
      assert_match(sentence, @child.log)
      assert_equal 1, @child.log.lines.size, @child.log
    end
  end

  def test_the_sockets_of_another_process_are_not_taken
    @child = Child.kino("-m", "threaded", "-w", "1", env: { "LISTEN_PID" => Process.pid.to_s, "LISTEN_FDS" => "1" }, chdir: directory)
    assert_equal @child.pid.to_s, get(@child.port)
    stop
  end

  # A NOTIFY_SOCKET, with a path or abstract.
  def notified(path)
    socket = opened(Socket.new(:UNIX, :DGRAM))
    socket.bind(Addrinfo.unix(path.sub(/\A@/, "\0")))
    socket
  end

  # The next message with the variable.
  def told(socket, variable)
    Timeout.timeout(Child::WAIT) do
      loop do
        text, = socket.recvfrom(4096)
        found = text.lines(chomp: true).to_h { |line| line.split("=", 2) }
        return found if found.key?(variable)
      end
    end
  end

  # Its processes inherit the variable, and say nothing.
  def test_the_master_of_several_processes_tells_systemd_and_has_the_sockets
    socket = notified(path = File.join(directory, "notify"))
    tcp = listening
    activate("--processes", "2", sockets: [tcp], env: { "NOTIFY_SOCKET" => path, "WATCHDOG_USEC" => "100000" })
    @child.await_banner
    assert_equal tcp.addr[1], @child.port
    assert_match(/\Alistening on http:.* with 2 processes\z/, told(socket, "READY")["STATUS"])
    2.times { assert told(socket, "WATCHDOG") }
    assert_includes children_of(@child.pid), get(@child.port).to_i
    @child.signal("TERM")
    assert told(socket, "STOPPING")
    assert_equal 0, @child.status, @child.log
    left = []
    loop { left << socket.recv_nonblock(4096) }
  rescue IO::WaitReadable
    assert_empty left.grep_v(/WATCHDOG/)
  end

  def test_systemd_is_told_what_the_server_does
    [File.join(directory, "notify"), "@kino-notify-#{Process.pid}-#{rand(1 << 30)}"].each do |path|
      socket = notified(path)
      activate("-p", "0", "--control-bind", "unix://#{control = File.join(directory, "control")}",
               env: { "NOTIFY_SOCKET" => path, "WATCHDOG_USEC" => "100000" })
      assert_match(/\Alistening on http:/, told(socket, "READY")["STATUS"])
      2.times { assert told(socket, "WATCHDOG") }
      @child.signal("HUP")
      assert_match(/\A\d+\z/, told(socket, "RELOADING")["MONOTONIC_USEC"])
      assert told(socket, "READY")
      assert_equal "200", Kino::ControlClient.new(Kino::ControlPlane.address("unix://#{control}"), "").post("/reload").code
      assert told(socket, "RELOADING"), "an operator's reload is one, too"
      assert told(socket, "READY")
      @child.signal("TERM")
      assert_equal "draining", told(socket, "STOPPING")["STATUS"]
      assert_equal 0, @child.status, @child.log
    end
  end

  def test_a_restart_names_the_new_main_process
    socket = notified(File.join(directory, "notify"))
    tcp = listening
    activate(sockets: [tcp], env: { "NOTIFY_SOCKET" => File.join(directory, "notify"), "WATCHDOG_USEC" => "100000" })
    assert told(socket, "READY")
    @child.signal("USR2")
    assert told(socket, "RELOADING")
    pid = told(socket, "MAINPID")["MAINPID"].to_i
    refute_equal @child.pid, pid
    assert told(socket, "WATCHDOG"), "the new process shows that it runs"
    # The old process may still accept a connection when it has handed over.
    eventually("the new process serves") { get(tcp.addr[1]) == pid.to_s }
    Process.kill("TERM", pid)
    assert told(socket, "STOPPING")
    assert_equal 0, @child.status, @child.log
  end
end
