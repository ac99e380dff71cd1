# frozen_string_literal: true

# The WebSockets of the benchmarks: /echo returns every message, /broadcast sends it to all of /broadcast, and each of
# these first one that says that it will get them. By the interface that kino, Iodine and Agoo share; for Puma by the gem
# faye-websocket, for Falcon by async-websocket.

READY = ("k" * 64).freeze

module Native
  module Echo
    def self.on_message(client, data) = client.write(data)
  end

  module Broadcast
    def self.on_open(client)
      client.subscribe("all")
      client.write(READY)
    end

    # Iodine's clients do not get what they publish themselves.
    def self.on_message(client, data) = defined?(Iodine) ? Iodine.publish("all", data) : client.publish("all", data)
  end

  def self.call(env)
    env["rack.upgrade"] = env["PATH_INFO"] == "/broadcast" ? Broadcast : Echo if env["rack.upgrade?"] == :websocket
    [200, {}, []]
  end
end

# All callbacks run in EventMachine's thread.
module ByFaye
  OPEN = {}.compare_by_identity # rubocop:disable Style/MutableConstant

  def self.call(env)
    return [200, {}, []] unless Faye::WebSocket.websocket?(env)

    socket = Faye::WebSocket.new(env)
    env["PATH_INFO"] == "/broadcast" ? broadcast(socket) : socket.on(:message) { |event| socket.send(event.data) }
    socket.rack_response
  end

  def self.broadcast(socket)
    socket.on(:open) do
      OPEN[socket] = true
      socket.send(READY)
    end
    socket.on(:message) { |event| OPEN.each_key { |other| other.send(event.data) } }
    socket.on(:close) { OPEN.delete(socket) }
  end
end

# A Fiber for each connection.
module ByAsync
  OPEN = {}.compare_by_identity # rubocop:disable Style/MutableConstant

  def self.call(env)
    broadcast = env["PATH_INFO"] == "/broadcast"
    Async::WebSocket::Adapters::Rack.open(env) do |connection|
      if broadcast
        OPEN[connection] = true
        connection.send_text(READY)
        connection.flush
      end
      while (message = connection.read)
        (broadcast ? OPEN.keys : [connection]).each { |other| message.send(other) && other.flush }
      end
    ensure
      OPEN.delete(connection)
    end || [200, {}, []]
  end
end

if defined?(Puma)
  require "faye/websocket"
  run ByFaye
elsif defined?(Falcon)
  require "async/websocket/adapters/rack"
  run ByAsync
else
  run Native
end
