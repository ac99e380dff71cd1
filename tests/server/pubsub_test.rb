# frozen_string_literal: true

require_relative "support/programs"
require_relative "support/server_test"
require_relative "support/websocket_client"

# Channels that reach several processes.
class PubSubTest < ServerTest
  # The app of each process: a WebSocket subscribes to everything, and publishes what it gets: "channel: data".
  APP = <<~RUBY
    module Talks
      def self.on_open(client)
        client.subscribe("*", match: :pattern)
        client.write("\#{Process.pid}")
      end

      def self.on_message(client, data)
        channel, text = data.split(": ", 2)
        text = text.b if channel == "binary"
        client.publish(channel, text)
      end
    end

    module App
      def self.call(env)
        return [200, {}, [Kino::PubSub.stats.inspect]] unless env["rack.upgrade?"] == :websocket

        env["rack.upgrade"] = Talks
        [200, {}, []]
      end
    end

    run App
  RUBY

  def teardown
    @clients&.each(&:close)
    Kino::PubSub.engine = nil
    @children&.each(&:finish)
    stop_redis
    super
  end

  def child(*arguments, mode: :ractor, env: {})
    File.write(File.join(directory, "config.ru"), APP)
    (@children ||= []) << Child.kino("-m", mode.to_s, "-w", "2", "-t", "1", *arguments, chdir: directory, env: env)
    @children.last
  end

  def connect(server)
    client = WebSocketClient.new(server.port)
    (@clients ||= []) << client
    client
  end

  # Sends until it arrives at the other: then both processes have met.
  def meet(one, other)
    eventually("the processes meet") do
      one.send_text("meet: hello")
      assert_equal "hello", one.read
      other.http.socket.wait_readable(0.2)
    end
    one.send_text("meet: end")
    assert_equal "end", one.read
    nil until other.read == "end"
  end

  # An engine that keeps what it is given.
  class Recorder
    attr_reader :sent, :deliver, :stopped

    def initialize(&fails)
      @sent = Queue.new
      @fails = fails
    end

    def start(&deliver)
      @deliver = deliver
    end

    def publish(channel, data)
      @fails&.call
      @sent << [channel, data]
    end

    def stop
      @stopped = true
    end
  end

  test "an engine gets what is published anywhere, in order, and delivers what others publish" do |mode|
    engine = Recorder.new
    Kino::PubSub.engine = engine
    server = serve(Apps::Basic.new, mode)
    assert_equal 0, Kino.publish("news", "grüße")
    100.times { |n| Kino.publish("n", n.to_s) }
    Kino.publish("bytes", "\xff".b)
    ractor = Kino::Topology.ractor(name: "publisher") { Kino.publish("news", "from a Ractor") }
    ractor.respond_to?(:value) ? ractor.value : ractor.take
    assert_equal [%w[news grüße], *Array.new(100) { |n| ["n", n.to_s] }, ["bytes", "\xff".b], ["news", "from a Ractor"]],
                 Array.new(103) { engine.sent.pop }
    before = Kino::PubSub.stats[:received]
    engine.deliver.call("news", "from elsewhere")
    assert_equal before + 1, Kino::PubSub.stats[:received]
    assert_empty engine.sent, "what was received is not sent again"
    server.shutdown
    assert engine.stopped
    Kino.publish("news", "nobody")
    assert_empty engine.sent
  end

  def test_an_engine_that_hangs_delays_no_publisher_and_what_it_has_no_room_for_is_dropped
    gate = Queue.new
    Kino::PubSub.engine = engine = Recorder.new { gate.pop }
    server = serve(Apps::Basic.new, :threaded)
    before = Kino::PubSub.stats
    5000.times { |n| Kino.publish("n", n.to_s) }
    dropped = Kino::PubSub.stats[:dropped] - before[:dropped]
    assert_includes [5000 - 4096 - 1, 5000 - 4096], dropped # one may have been taken out already
    gate.close
    (5000 - dropped).times { |n| assert_equal ["n", n.to_s], engine.sent.pop }
    40.times { Kino.publish("big", "x" * 1_000_000) }
    eventually("the rest is sent or dropped") do
      Kino::PubSub.stats.values_at(:sent, :dropped).sum == before.values_at(:sent, :dropped).sum + 5040
    end
    server.shutdown
  end

  def test_an_engine_that_fails_is_logged_once_and_its_messages_are_counted
    failing = true
    Kino::PubSub.engine = engine = Recorder.new { raise "out of order" if failing }
    serve(Apps::Basic.new, :threaded)
    before = Kino::PubSub.stats[:failed]
    log = logged do
      10.times { Kino.publish("n", "lost") }
      eventually("all have failed") { Kino::PubSub.stats[:failed] == before + 10 }
      failing = false
      Kino.publish("n", "found")
      assert_equal %w[n found], engine.sent.pop
      eventually("that is logged") { !Kino::PubSub.instance_variable_get(:@failing) }
    end
    assert_equal 1, log.scan("out of order").size
    assert_match(/reach other processes again/, log)
  end

  def test_what_is_no_engine_is_refused
    assert_match(/has no publish/, assert_raises(ArgumentError) { Kino::PubSub.engine = Thread }.message)
    assert_match(/neither unix:.*nor redis:/, assert_raises(Kino::ConfigError) { Kino::PubSub.engine_at("tcp://nowhere") }.message)
  end

  covers :pubsub
  test "processes of one machine meet in a directory" do |mode|
    address = "unix://#{directory}/meeting"
    one, other = Array.new(2) { connect(child("--pubsub", address, mode: mode)) }
    [one, other].each(&:read)
    one.send_text("news: grüße").send_text("binary: bytes")
    [one, other].each do |client|
      assert_equal "grüße", client.read
      assert_equal WebSocketClient::Frame.new(WebSocketClient::BINARY, "bytes"), client.read_frame
    end
    200.times { |n| one.send_text("n: #{n}") }
    [one, other].each { |client| 200.times { |n| assert_equal n.to_s, client.read } }
    @children[1].signal(:KILL)
    assert_equal "SIGKILL", @children[1].status
    one.send_text("news: alone")
    assert_equal "alone", one.read
    third = connect(child("--pubsub", address, mode: mode))
    third.read
    one.send_text("news: #{"x" * 900_000}")
    [one, third].each { |client| assert_equal "x" * 900_000, client.read }
    @clients.each(&:close)
    [@children[0], @children[2]].each do |process|
      process.signal(:TERM)
      process.status
    end
    assert_empty Dir.children(File.join(directory, "meeting"))
  end

  def test_the_processes_of_one_master_meet_without_an_option
    server = child("--processes", "2", mode: :threaded)
    clients = []
    greetings = []
    eventually("both processes have clients") do
      clients << connect(server)
      greetings << clients.last.read
      greetings.uniq.size == 2
    end
    clients.first.send_text("news: all")
    clients.each { |client| assert_equal "all", client.read }
    clients.each(&:close)
    server.signal(:TERM)
    assert_equal 0, server.status
  end

  def test_what_is_no_message_closes_its_connection_only
    process = child("--pubsub", "unix://#{directory}/meeting")
    client = connect(process)
    client.read
    path = Dir.glob("#{directory}/meeting/*.sock").first
    random = Random.new(1)
    frames = ["t", 4, 5].pack("a1NN") << "news" << "hello"
    hostile = [random.bytes(100), "", "t", ["t", 4, 1 << 31].pack("a1NN"), ["x", 1, 1].pack("a1NN"), frames[0..-3],
               *Array.new(200) { frames.dup.tap { |bytes| bytes.setbyte(random.rand(9), random.rand(256)) } }]
    hostile.each do |bytes|
      UNIXSocket.open(path) do |socket|
        socket.write(bytes)
        socket.close_write
        socket.read
      rescue Errno::EPIPE, Errno::ECONNRESET
        nil
      end
    end
    UNIXSocket.open(path) { |socket| socket.write(["t", 4, 4].pack("a1NN") << "news" << "last") }
    nil until client.read_frame.data == "last"
  end

  def test_a_directory_that_others_may_write_to_is_refused
    meeting = File.join(directory, "meeting")
    Dir.mkdir(meeting)
    File.chmod(0o777, meeting)
    error = assert_raises(Kino::ConfigError) { start_server(Apps::Basic.new.freeze, mode: :threaded, pubsub: "unix://#{meeting}") }
    assert_match(/chmod 700/, error.message)
    long = assert_raises(Kino::ConfigError) { start_long_directory }
    assert_match(/too long/, long.message)
  ensure
    Kino::PubSub.engine = nil
  end

  def start_long_directory
    Kino::PubSub.engine = nil
    start_server(Apps::Basic.new.freeze, mode: :threaded, pubsub: "unix://#{directory}/#{"x" * 90}")
  end

  # --- Redis ---

  def start_redis
    program = Programs.find("redis-server") or skip "no redis-server is installed (Debian: redis-server)"
    begin
      require "redis-client"
    rescue LoadError
      skip "the gem redis-client is not installed"
    end
    @redis_path = File.join(directory, "redis.sock")
    @redis = Process.spawn(program, "--port", "0", "--unixsocket", @redis_path, "--save", "", "--appendonly", "no", "--dir", directory,
                           out: File::NULL, err: File::NULL)
    eventually("redis answers") { File.socket?(@redis_path) && redis("PING") == "PONG" }
  end

  def redis(*command)
    client = RedisClient.new(path: @redis_path)
    client.call(*command)
  rescue RedisClient::Error
    nil
  ensure
    client&.close
  end

  def stop_redis
    return unless @redis

    Process.kill(:KILL, @redis)
    Process.wait(@redis)
    @redis = nil
  end

  # A process with the engine for the Redis of this test, set in its configuration file.
  def redis_child
    File.write(File.join(directory, "kino.rb"), "require \"kino\"\nKino::PubSub.engine = Kino::PubSub::Redis.new(path: #{@redis_path.inspect})\n")
    child(env: { "GEM_HOME" => ENV.fetch("GEM_HOME", nil) }.compact)
  end

  def test_processes_meet_in_redis_which_may_end_and_return
    start_redis
    one, other = Array.new(2) { connect(redis_child) }
    [one, other].each(&:read)
    meet(one, other)
    one.send_text("news: grüße").send_text("binary: bytes")
    [one, other].each do |client|
      assert_equal "grüße", client.read
      assert_equal WebSocketClient::Frame.new(WebSocketClient::BINARY, "bytes"), client.read_frame
    end
    redis("PUBLISH", "kino:news", "from elsewhere")
    [one, other].each { |client| assert_equal "from elsewhere", client.read }
    redis("PUBLISH", "kino:news", "\x00kino1\xff".b)
    [one, other].each { |client| assert_equal "\x00kino1\xff".b, client.read_frame.data }

    stop_redis
    20.times do |n|
      one.send_text("news: #{n}")
      assert_equal n.to_s, one.read, "clients of the same process need no Redis"
    end
    start_redis
    meet(one, other)
    meet(other, one)
  end
end
