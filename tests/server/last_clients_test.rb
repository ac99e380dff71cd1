# frozen_string_literal: true

require "socket"

require_relative "support/process_table"
require_relative "support/server_test"

# What the system tells clients that connect while a server stops. Closing a socket resets the connections that wait in it. So those
# that will accept from it no more let the system take no more connections before they accept the last ones. If anybody else accepts
# from it, later or elsewhere, it stays as it is.
#
# The app gives its listening socket to the test, which thus still has it when the server has closed it.
class LastClientsTest < ServerTest
  include ProcessTable

  APP = <<~'RUBY'
    require "socket"

    run lambda { |env|
      sockets = Dir.children("/proc/self/fd").filter_map do |name|
        Socket.for_fd(name.to_i).tap { |socket| socket.autoclose = false }
      rescue SystemCallError
        nil
      end
      listening = sockets.find { |socket| socket.getsockopt(:SOCKET, :ACCEPTCONN).bool && socket.local_address.ip? == env.key?("REMOTE_PORT") }
      UNIXSocket.open(env["QUERY_STRING"]) { |test| test.send_io(listening) }
      [200, {}, [Process.pid.to_s]]
    }
  RUBY

  def setup
    super
    @path = File.join(directory, "test")
    @open = [@receiver = UNIXServer.new(@path)]
    File.write(File.join(directory, "config.ru"), APP)
  end

  def teardown
    kill([@successor]) if @successor
    kill(children_of(@child.pid)) if @child && !@child.ended?
    super
    @open.each(&:close)
  end

  def start(*arguments)
    @child = Child.kino("-m", "threaded", "-w", "2", *arguments, chdir: directory)
    @place ||= @child.port
  end

  # The listening socket, and the pid of the process that has answered.
  def take_socket
    answer = Thread.new { Client.open(@place) { |client| client.get("/?#{@path}").body.to_i } }
    socket = @receiver.accept.then { |from| from.recv_io(Socket).tap { from.close } }
    @open << socket
    [socket, answer.value]
  end

  # Restarts, and waits until the old process has ended.
  def restart
    @child.signal("USR2")
    @successor = @child.await_line(/the new process \(pid (\d+)\) is ready/)[1].to_i
    assert_equal 0, @child.wait
  end

  def stop(pid = @child.pid)
    Process.kill("TERM", pid)
    assert_equal 0, @child.status, @child.log # when all have ended that write to the log
    @successor = nil
  end

  # Leads to the Unix socket when the server has removed its file.
  def kept = File.join(directory, "kept")

  # Whether the system still connects clients to a listening socket.
  def lets_in?(listening)
    address = listening.connect_address
    address = Addrinfo.unix(kept) if address.unix?
    client = Socket.new(address.pfamily, :STREAM)
    @open << client
    client.connect_nonblock(address)
    true
  rescue IO::WaitWritable # a TCP connection, which may be there already
    begin
      client.connect_nonblock(address)
      true
    rescue Errno::EISCONN
      true
    rescue Errno::EALREADY
      false
    end
  rescue Errno::ECONNREFUSED
    false
  end

  def assert_closed_to_clients
    socket, = take_socket
    assert lets_in?(socket)
    yield
    refute lets_in?(socket), "a client was connected that nobody would answer"
  end

  KINDS = { "one process" => [], "several processes" => ["--processes", "2"] }.freeze

  KINDS.each do |name, arguments|
    define_method("test_#{name.tr(" ", "_")}_let_nobody_in_at_the_end") do
      start(*arguments)
      assert_closed_to_clients { stop }
    end

    define_method("test_#{name.tr(" ", "_")}_let_nobody_in_at_the_end_of_a_unix_socket") do
      start(*arguments, "-b", "127.0.0.1", "-b", "unix://#{@place = File.join(directory, "socket")}")
      File.link(@place, kept)
      assert_closed_to_clients { stop }
    end

    define_method("test_#{name.tr(" ", "_")}_that_have_replaced_others_let_nobody_in_at_the_end") do
      start(*arguments)
      socket, = take_socket
      restart
      assert lets_in?(socket), "the new program accepts from the same socket"
      stop(@successor)
      refute lets_in?(socket), "a client was connected that nobody would answer"
    end

    define_method("test_#{name.tr(" ", "_")}_leave_a_socket_open_that_systemd_keeps") do
      kept = TCPServer.new("127.0.0.1", 0)
      @open << kept
      command = [RbConfig.ruby, "-W:no-experimental", "-w", File.join(Child::ROOT, "exe/kino"), "-m", "threaded", "-w", "2", *arguments]
      @child = Child.new(["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *command], env: { "LISTEN_FDS" => "1" }, chdir: directory, 3 => kept)
      @child.await_banner
      restart
      assert lets_in?(kept)
      stop(@successor)
      assert lets_in?(kept), "it waits for the next start"
    end
  end

  def test_one_of_several_processes_that_ends_leaves_the_socket_open
    start("--processes", "2")
    socket, pid = take_socket
    Process.kill("TERM", pid)
    eventually("it has ended") { !running?(pid) }
    assert lets_in?(socket)
    stop
  end
end
