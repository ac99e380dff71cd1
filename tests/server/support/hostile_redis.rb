# frozen_string_literal: true

require "socket"

# A server that speaks enough of Redis's protocol for Kino::PubSub::Redis, and answers with anything else while it is told to lie.
class HostileRedis
  attr_reader :subscribers

  # +answers+: bytes, each the answer to one command while it lies; it then closes the connection.
  def initialize(answers)
    @server = TCPServer.new("127.0.0.1", 0)
    @answers = Queue.new
    answers.each { |answer| @answers << answer }
    @connections = Queue.new
    @subscribers = Queue.new
    @thread = Thread.new { accept }
  end

  def url = "redis://127.0.0.1:#{@server.local_address.ip_port}"

  # Whether every lie has been told.
  def honest? = @honest

  # To all who have subscribed.
  def push(channel, data)
    @listening.write(">4\r\n$8\r\npmessage\r\n$6\r\nkino:*\r\n#{bulk(channel)}#{bulk(data)}")
  end

  def close
    @server.close
    @thread.kill.join
    @connections.pop.kill.join until @connections.empty?
  end

  private

  def bulk(text) = "$#{text.bytesize}\r\n".b << text.b << "\r\n"

  def accept
    loop do
      client = @server.accept
      @connections << Thread.new { serve(client) }
    end
  rescue IOError
    nil
  end

  def serve(client)
    while (command = read_command(client))
      case command.first
      when "HELLO" then client.write("%1\r\n+server\r\n+redis\r\n")
      when "PUBLISH", "PSUBSCRIBE"
        lie = next_lie
        next client.write(lie) && (client.close_write) if lie

        answer(client, *command)
      end
    end
  rescue IOError, SystemCallError
    nil
  ensure
    client.close
  end

  def next_lie
    @answers.pop(true)
  rescue ThreadError
    @honest = true
    nil
  end

  def answer(client, name, pattern, *)
    return client.write(":1\r\n") if name == "PUBLISH"

    client.write(">3\r\n$10\r\npsubscribe\r\n#{bulk(pattern)}:1\r\n")
    @listening = client
    @subscribers << pattern
  end

  def read_command(client)
    count = client.gets or return
    Array.new(Integer(count.delete_prefix("*"))) { client.read(Integer(client.gets.delete_prefix("$")) + 2).chomp }
  end
end
