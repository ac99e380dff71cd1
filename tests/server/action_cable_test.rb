# frozen_string_literal: true

require "json"

require_relative "support/driver_client"
require_relative "support/server_test"

# Action Cable, which takes its connections with rack.hijack and keeps them in threads of its own.
class ActionCableTest < ServerTest
  IDENTIFIER = { channel: "ActionCableTest::Room" }.to_json
  PROTOCOL = { protocols: ["actioncable-v1-json"] }.freeze

  def self.define_cable
    require "action_cable"
    require "logger"
    const_set(:Connection, Class.new(ActionCable::Connection::Base))
    room = Class.new(ActionCable::Channel::Base) do
      def subscribed = stream_from("room")
      def say(data) = ActionCable.server.broadcast("room", { "said" => data["text"] })
    end
    const_set(:Room, room)
    config = ActionCable.server.config
    config.cable = { "adapter" => "async" }
    config.logger = Logger.new(File::NULL)
    config.connection_class = -> { Connection }
    config.disable_request_forgery_protection = true
  end

  def setup
    super
    require "action_cable"
    require "websocket/driver"
    self.class.define_cable unless self.class.const_defined?(:Room)
  rescue LoadError
    skip "the gem actioncable is not installed"
  end

  def teardown
    ActionCable.server.restart if defined?(ActionCable::Server)
    super
  end

  def send_command(client, command, **more)
    client.text({ command: command, identifier: IDENTIFIER, **more }.to_json)
  end

  # The next message that is no ping.
  def next_message(client)
    loop do
      message = JSON.parse(client.next_message || flunk("the connection was closed"))
      return message unless message["type"] == "ping"
    end
  end

  def subscribed(server)
    client = DriverClient.new(server.port, "/cable", **PROTOCOL)
    assert_equal({ "type" => "welcome" }, next_message(client))
    send_command(client, "subscribe")
    assert_equal "confirm_subscription", next_message(client)["type"]
    client
  end

  def serve_cable(**options)
    start_server(ActionCable.server, mode: :threaded, workers: 1, threads: 2, **options)
  end

  def test_messages_go_to_all_subscribers
    server = serve_cable
    log = logged do
      clients = Array.new(3) { subscribed(server) }
      send_command(clients.first, "message", data: { action: "say", text: "hello" }.to_json)
      clients.each { |client| assert_equal({ "said" => "hello" }, next_message(client)["message"]) }
      eventually("the handlers have returned") { server.stats[:in_flight].zero? }
      clients.each { |client| client.io.close }
    end
    assert_empty log
    Client.open(server.port) { |client| assert_equal 404, client.get("/cable").status }
  end

  # Each needs two descriptors of this process, which is the client, too.
  def test_a_thousand_idle_subscribers
    server = serve_cable(max_connections: 2000)
    count = [1000, (Process.getrlimit(:NOFILE).first - 200) / 2].min
    clients = Array.new(count) { subscribed(server) }
    eventually("the server has forgotten them") { server.stats[:connections].zero? }
    ActionCable.server.broadcast("room", { "said" => "to all" })
    clients.each { |client| assert_equal({ "said" => "to all" }, next_message(client)["message"]) }
    clients.each { |client| client.io.close }
  end

  def test_it_closes_its_sockets_itself
    server = serve_cable
    client = subscribed(server)
    assert server.shutdown(timeout: 10)
    ActionCable.server.restart
    message = next_message(client)
    assert_equal %w[disconnect server_restart], message.values_at("type", "reason")
    client.read_until { client.code }
  end
end
