# frozen_string_literal: true

require_relative "support/driver_client"
require_relative "support/server_test"

# WebSockets by the gems that people use, unchanged: websocket-driver and Action Cable's way through rack.hijack, and
# async-websocket through rack.protocol.
class WebSocketGemsTest < ServerTest
  # Loads a gem, or skips the test if it is not installed.
  def need(*libraries)
    libraries.each { |library| require library }
  rescue LoadError
    skip "the gem of #{libraries.join(", ")} is not installed"
  end

  # websocket-driver on the hijacked socket, as Action Cable uses it: the app returns at once, and one thread serves all
  # connections.
  class Cable
    class Connection
      attr_reader :env, :url, :io

      def initialize(env)
        @env = env
        @url = "ws://#{env["HTTP_HOST"]}#{env["PATH_INFO"]}"
        @driver = WebSocket::Driver.rack(self)
        @driver.on(:message) { |event| event.data.is_a?(String) ? @driver.text("you said #{event.data}") : @driver.binary(event.data) }
        @driver.on(:close) { @io.close }
        @io = env["rack.hijack"].call
      end

      # The request is in the env.
      def open = @driver.start
      def write(bytes) = @io.write(bytes)

      def read
        bytes = @io.read_nonblock(65_536, exception: false)
        return if bytes == :wait_readable
        return @io.close if bytes.nil?

        @driver.parse(bytes)
      rescue IOError, SystemCallError
        @io.close
      end
    end

    def initialize
      @added = Thread::Queue.new
      @waker, @wake = IO.pipe
      @loop = Thread.new { serve }
    end

    def call(env)
      return [200, {}, ["no WebSocket"]] unless WebSocket::Driver.websocket?(env)

      @added << Connection.new(env)
      @wake.write(".")
      [-1, {}, []]
    end

    def stop
      @loop.kill.join
      [@waker, @wake, *@open&.keys].each(&:close)
    end

    private

    def serve
      @open = {}
      loop do
        ready, = IO.select([@waker, *@open.keys])
        ready.each { |io| io.equal?(@waker) ? add : @open[io].read }
        @open.delete_if { |io, _| io.closed? }
      end
    end

    def add
      @waker.read_nonblock(1000)
      until @added.empty?
        connection = @added.pop
        @open[connection.io] = connection
        connection.open
      end
    end
  end

  def with_cable(**options)
    need "websocket/driver"
    cable = Cable.new
    yield start_server(cable, mode: :threaded, workers: 1, threads: 2, **options)
  ensure
    cable&.stop
  end

  def assert_talks(client, text = "hello")
    client.text(text)
    assert_equal "you said #{text}", client.next_message
  end

  def test_websocket_driver_on_a_hijacked_socket
    with_cable do |server|
      log = logged do
        DriverClient.open(server.port) do |client|
          assert_equal 101, client.status
          assert_talks(client)
          assert_talks(client, "é" * 100_000)
          Client.open(server.port) { |other| assert_equal "no WebSocket", other.get("/").body }
          client.close
          client.read_until { client.code }
        end
      end
      assert_empty log
      assert_healthy(server)
    end
  end

  # Each needs two descriptors of this process, which is the client, too.
  def test_a_thousand_idle_sockets_hold_no_worker
    count = [1000, (Process.getrlimit(:NOFILE).first - 200) / 2].min
    with_cable(max_connections: 2000) do |server|
      clients = Array.new(count) { DriverClient.new(server.port, "/") }
      eventually("the handlers have returned") { server.stats[:in_flight].zero? }
      eventually("the server has forgotten them") { server.stats[:connections].zero? }
      clients.each_with_index { |client, number| assert_talks(client, number.to_s) }
      assert_healthy(server)
      clients.each { |client| client.io.close }
    end
  end

  def test_async_websocket_through_rack_protocol
    need "websocket/driver", "async/websocket/adapters/rack"
    app = lambda { |env|
      Async::WebSocket::Adapters::Rack.open(env) do |connection|
        while (message = connection.read)
          connection.send_text("you said #{message.to_str}")
          connection.flush
        end
      rescue EOFError
        nil # The client has left without a word.
      end || [200, {}, ["no WebSocket"]]
    }
    server = start_server(app, mode: :threaded, workers: 2, threads: 1)
    log = logged do
      DriverClient.open(server.port) do |client|
        assert_equal 101, client.status
        assert_talks(client)
        assert_talks(client, "x" * 1_000_000)
        Client.open(server.port) { |other| assert_equal "no WebSocket", other.get("/").body }
        client.close
        client.read_until { client.code }
        assert_equal 1000, client.code
      end
      DriverClient.open(server.port) { |client| assert_talks(client) }
      assert_healthy(server)
    end
    assert_empty log
  end
end
