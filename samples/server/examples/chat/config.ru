# frozen_string_literal: true

# A chat with rooms, in Ractors: `kino -m ractor samples/server/examples/chat/config.ru`, then open
# http://127.0.0.1:9292/#ruby in two windows.
#
# There is no state but the subscriptions, which are native: whatever Ractor handles an event, Kino.publish reaches everyone in
# the room, and an open connection holds no worker.

require "json"

PAGE = File.read(File.join(__dir__, "page.html")).freeze

# The handler of every connection. The room is the path: /rooms/ruby.
module Room
  NAME = %r{\A/rooms/([a-z0-9-]{1,40})\z}
  LONGEST = 1000

  def self.of(client)
    client.env["PATH_INFO"][NAME, 1]
  end

  def self.on_open(client)
    client.subscribe("room.#{of(client)}")
    client.publish("room.#{of(client)}", JSON.generate(joined: name_of(client)))
  end

  def self.on_message(client, data)
    text = data.strip
    return if text.empty? || data.encoding != Encoding::UTF_8

    client.publish("room.#{of(client)}", JSON.generate(name: name_of(client), text: text[0, LONGEST]))
  end

  def self.on_shutdown(client)
    client.write(JSON.generate(text: "The server is restarting."))
  end

  def self.on_close(client)
    Kino.publish("room.#{of(client)}", JSON.generate(left: name_of(client)))
  end

  # The name is in the query: /rooms/ruby?name=Ann
  def self.name_of(client)
    name = client.env["QUERY_STRING"][/(?:\A|&)name=([^&]*)/, 1].to_s
    name = name.tr("+", " ").gsub(/%(\h\h)/) { $1.hex.chr }.force_encoding(Encoding::UTF_8).scrub.strip[0, 40]
    name.empty? ? "somebody" : name
  end
end

# A page of another site must not talk here with the cookies of its visitor.
module Origin
  def self.ours?(env)
    origin = env["HTTP_ORIGIN"]
    origin.nil? || origin.delete_prefix("https://").delete_prefix("http://") == env["HTTP_HOST"]
  end
end

# The app: a module, which every Ractor can share.
module Chat
  def self.call(env)
    if env["rack.upgrade?"] == :websocket && Room::NAME.match?(env["PATH_INFO"])
      return [403, {}, []] unless Origin.ours?(env)

      env["rack.upgrade"] = Room
      return [200, {}, []]
    end
    return [404, { "content-type" => "text/plain" }, ["There is no such page.\n"]] unless env["PATH_INFO"] == "/"

    [200, { "content-type" => "text/html; charset=utf-8" }, [PAGE]]
  end
end

run Chat
