# frozen_string_literal: true

require_relative "support/server_test"
require_relative "support/hostile_redis"

# The engines of Kino::PubSub among files, sockets and servers that are not what they seem: no fault of another one may end
# what is received, or keep a message from those that can take it.
class PubSubHostileTest < ServerTest
  def teardown
    @engines&.each(&:stop)
    super
  end

  # An engine that keeps what it receives.
  def listening(engine)
    (@engines ||= []) << engine
    received = Queue.new
    engine.start { |*message| received << message }
    received
  end

  def unix = Kino::PubSub::Unix.new(directory)

  def sockets = Dir.glob("#{directory}/*.sock")
  def socket_of_the_engine = sockets.first

  def test_other_files_of_the_directory_stay_as_they_are
    received = listening(unix)
    foreign = UNIXServer.new(File.join(directory, "app.sock"))
    UNIXServer.new(File.join(directory, "dead.sock")).close
    File.write(File.join(directory, "notes.sock"), "kept")
    before = Dir.children(directory)
    sender = unix
    listening(sender)
    sender.publish("news", "one")
    assert_equal %w[news one], received.pop
    assert_empty before - Dir.children(directory)
    assert_equal :wait_readable, foreign.accept_nonblock(exception: false), "it is not for this engine"
  ensure
    foreign&.close
  end

  # Files that have the names of processes.
  def test_what_cannot_be_reached_keeps_no_message_from_others
    name = ->(number) { File.join(directory, "#{number}-#{"0" * 16}.sock") }
    File.symlink("nowhere", name.call(1))
    File.symlink("2-#{"0" * 16}.sock", name.call(2))
    Dir.mkdir(name.call(3))
    datagrams = Socket.new(:UNIX, :DGRAM)
    datagrams.bind(Socket.sockaddr_un(name.call(4)))
    UNIXServer.new(name.call(5)).close
    # The order of a directory is the system's.
    inboxes = Array.new(8) { listening(unix) }
    sender = unix
    listening(sender)
    begin
      sender.publish("news", "one")
    rescue Kino::Error
      nil # some have not got it
    end
    inboxes.each { |inbox| assert_equal %w[news one], inbox.pop }
    refute_path_exists name.call(5)
  ensure
    datagrams&.close
  end

  # As programs do that clean up /tmp.
  def test_a_socket_that_is_removed_under_traffic_is_made_again_and_no_message_is_lost
    inbox = listening(unix)
    listening(sender = unix)
    { "the sockets" => -> { FileUtils.rm(sockets) }, "the directory" => -> { FileUtils.rm_rf(directory) } }.each do |what, remove|
      count = 0
      stop = false
      traffic = Thread.new { sender.publish("news", (count += 1).to_s) until stop }
      assert_equal %w[news 1], inbox.pop
      known = sockets.size
      logged(/pubsub: something has removed the socket of this process/, times: known) do
        remove.call
        eventually("each has a socket again, after #{what} had been removed") { sockets.size == known }
      end
      listening(newcomer = unix)
      stop = true
      traffic.join
      (2..count).each { |number| assert_equal ["news", number.to_s], inbox.pop }
      # Messages of two processes have no order.
      newcomer.publish("news", "from a newcomer")
      assert_equal ["news", "from a newcomer"], inbox.pop
    end
  end

  # As many connections as the process has descriptors for.
  def test_messages_arrive_again_after_a_lack_of_descriptors
    received = listening(unix)
    path = socket_of_the_engine
    early, late = Array.new(2) { Socket.new(:UNIX, :STREAM) }
    soft, hard = Process.getrlimit(:NOFILE)
    log = logged do
      free = File.open(File::NULL, &:fileno)
      Process.setrlimit(:NOFILE, free, hard)
      early.connect(Socket.sockaddr_un(path))
      eventually("it is logged") { Kino::Log.flush(1) || true and File.size(STDERR).positive? }
      Process.setrlimit(:NOFILE, soft, hard)
      late.connect(Socket.sockaddr_un(path))
      late.write(["t", 4, 4].pack("a1NN") << "news" << "last")
      assert_equal %w[news last], received.pop
    end
    assert_match(/Too many open files/, log)
  ensure
    Process.setrlimit(:NOFILE, soft, hard)
    [early, late].each { |socket| socket&.close }
  end

  LIES = ["", "\r\n", "+OK\r\n", "-NOPERM this user has no permissions\r\n", ":x\r\n", ":12\r\n", "$-1\r\n", "$5\r\nab\r\n", "*0\r\n", "*-1\r\n",
          "*x\r\n", ">1\r\n$8\r\npmessage\r\n", ">4\r\n$8\r\npmessage\r\n:1\r\n:2\r\n:3\r\n", "_\r\n", "#t\r\n", "#x\r\n", ",1.x\r\n", "(x\r\n",
          "=1\r\nx\r\n", "%1\r\n", "~2\r\n+a\r\n", "GET / HTTP/1.1\r\n\r\n", "\xff\xfe".b, "\0" * 100].freeze

  def test_messages_arrive_and_are_sent_after_anything_that_a_server_may_say
    begin
      require "redis-client"
    rescue LoadError
      skip "the gem redis-client is not installed"
    end
    # Each lie is told to the publisher and to the listener.
    server = HostileRedis.new(LIES.flat_map { |lie| [lie] * 4 })
    engine = Kino::PubSub::Redis.new(url: server.url)
    # Its time: between two attempts passes more than it waits.
    clock = 0
    engine.define_singleton_method(:now) { clock += 10 }
    engine.define_singleton_method(:sleep) { |_| Thread.pass }
    received = listening(engine)
    logged do
      eventually("it is believed no lie", seconds: 60) do
        begin
          engine.publish("news", "x")
        rescue StandardError
          nil # the message is dropped
        end
        server.honest?
      end
      assert_equal "kino:*", server.subscribers.pop
    end
    server.push("kino:news", "hello")
    assert_equal %w[news hello], received.pop
    eventually("it sends again") do
      engine.publish("news", "x") || true
    rescue StandardError
      false
    end
  ensure
    @engines.each(&:stop)
    @engines = []
    server&.close
  end
end
