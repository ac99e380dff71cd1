# frozen_string_literal: true

require "socket"

require_relative "client"

# A client of WebSockets that is the gem websocket-driver, which the test has to load.
class DriverClient
  Socket = Struct.new(:url, :io) do
    def write(bytes) = io.write(bytes)
  end

  attr_reader :io, :messages, :status, :code

  def self.open(port, path = "/", **options)
    client = new(port, path, **options)
    yield client
  ensure
    client&.io&.close
  end

  def initialize(port, path = "/", **options)
    @io = TCPSocket.new("127.0.0.1", port)
    @messages = []
    @driver = WebSocket::Driver.client(Socket.new("ws://127.0.0.1:#{port}#{path}", @io), options)
    @driver.on(:message) { |event| @messages << event.data }
    @driver.on(:close) { |event| @code = event.code }
    @driver.start
    read_until { @driver.status || @code }
    @status = @driver.status
  end

  def text(text) = @driver.text(text)
  def binary(bytes) = @driver.binary(bytes)
  def close = @driver.close

  def next_message
    read_until { @messages.any? || @code }
    @messages.shift
  end

  def read_until
    until yield
      @io.wait_readable(Client::WAIT) or raise Client::TooSlow, "no frame came"
      @driver.parse(@io.readpartial(65_536))
    end
  end
end
