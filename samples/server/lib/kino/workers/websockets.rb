# frozen_string_literal: true

require_relative "../app/log"
require_relative "../native"
require_relative "response"

module Kino
  # The client of a connection: a Native::WebSocket or a Native::EventStream. It may be used in every Ractor and Thread, also
  # after the connection has ended.
  #
  # Defined in C++: #close, #open?, #pending, #timeout and #timeout=, and #write(data) of WebSockets.
  class Native::Client
    # Sends the client whatever is published to +channel+; with match: :pattern, to all channels whose name it matches: * stands
    # for any text, ? for one byte, \\ makes the next one stand for itself. False if the connection has ended.
    def subscribe(channel, match: nil)
      subscribe_to(channel.to_s, WebSockets.pattern?(match))
    end

    # False if the client had not subscribed.
    def unsubscribe(channel, match: nil)
      unsubscribe_from(channel.to_s, WebSockets.pattern?(match))
    end

    # See Kino.publish.
    def publish(channel, data)
      Native.publish_message(channel.to_s, data)
    end

    # A copy of the Rack environment of the request that began the connection: what is made of Strings, Symbols, numbers,
    # true, false, nil, Arrays and Hashes.
    def env
      Marshal.load(packed_env)
    end

    def inspect
      "#<#{self.class} #{open? ? "open" : "closed"}>"
    end
  end

  # The client of an event stream.
  class Native::EventStream
    # Sends an event; each line of +data+ is one of the event. +event+ is its type, "message" if nil; +id+ is what the client
    # sends as Last-Event-ID when it comes again, +retry+ the seconds it waits before that. False if the connection is closing
    # or closed.
    def write(data, event: nil, id: nil, retry: nil)
      seconds = binding.local_variable_get(:retry) # a keyword of Ruby
      write_event(data, event && event.to_s, id && id.to_s, seconds && (seconds * 1000).round)
    end
  end

  # Makes WebSockets and event streams of requests whose app has set env["rack.upgrade"], and calls their handlers. It runs
  # inside worker Ractors: everything it reads is shareable, except for Handlers.
  module WebSockets
    # Handlers that are not shareable: those of apps in Threads. Native memory cannot hold them.
    #
    # Threads: those of the main Ractor.
    module Handlers
      @lock = Mutex.new
      @kept = {}
      @last = 0

      # Keeps a handler; returns the number that stands for it.
      def self.keep(handler)
        @lock.synchronize do
          # Those of connections that ended before they were open.
          Native.forgotten_handlers.each { |key| @kept.delete(key) }
          @kept[@last += 1] = handler
          @last
        end
      end

      def self.find(key)
        @lock.synchronize { @kept[key] }
      end

      def self.drop(key)
        @lock.synchronize { @kept.delete(key) }
      end

      def self.count
        @lock.synchronize { @kept.size }
      end
    end

    REFUSED_HEADERS = Ractor.make_shareable({
      400 => { "content-type" => "text/plain; charset=utf-8" },
      426 => { "content-type" => "text/plain; charset=utf-8", "upgrade" => "websocket", "sec-websocket-version" => "13" }
    })
    REFUSED_BODIES = Ractor.make_shareable({
      400 => ["The Sec-WebSocket-Key is invalid.\n"],
      426 => ["This server speaks version 13 of the WebSocket protocol.\n"]
    })
    # Fields that describe a body. The server sets those of an event stream; the answer to a WebSocket has no body.
    BODY_HEADERS = %w[content-length content-encoding transfer-encoding].freeze
    STREAM_HEADERS = Ractor.make_shareable({ "content-type" => "text/event-stream", "cache-control" => "no-cache" })
    PLAIN = [String, Symbol, Integer, Float, TrueClass, FalseClass, NilClass].freeze

    # Whether the app wants what the server has offered, and does not have the connection already. A response from 300 on is
    # one, and so is 204 to an EventSource, which then comes no more.
    def self.upgrade?(env, status)
      env.key?("rack.upgrade?") && env["rack.upgrade"] && !env["rack.hijack_io"] && status.to_i < 300 &&
        !(env["rack.upgrade?"] == :sse && status.to_i == 204)
    end

    # Answers with the beginning of what was offered, and returns the next request.
    def self.upgrade(id, slot, env, headers, body)
      return stream_events(id, slot, env, headers, body) if env["rack.upgrade?"] == :sse

      check_protocol(env, headers)
      handler = env["rack.upgrade"]
      key = keep(handler)
      headers = without_body(headers)
      problem = Native.upgrade(id, slot, headers, handler, key, pack(env))
      Response.close(body, env)
      unless problem == true
        Handlers.drop(key) if key
        return Response.complete(id, slot, env, problem, REFUSED_HEADERS[problem], REFUSED_BODIES[problem])
      end
      Response.finish(env, 101, headers, nil)
      Native.take(id, slot)
    end

    def self.stream_events(id, slot, env, headers, body)
      handler = env["rack.upgrade"]
      key = keep(handler)
      headers = stream_headers(headers)
      begin
        Native.stream_events(id, slot, headers, handler, key, pack(env))
      rescue StandardError
        Handlers.drop(key) if key
        raise
      end
      Response.close(body, env)
      Response.finish(env, 200, headers, nil)
      Native.take(id, slot)
    end

    def self.without_body(headers)
      return headers if headers.none? { |name, _| BODY_HEADERS.include?(name.to_s.downcase) }

      headers.reject { |name, _| BODY_HEADERS.include?(name.to_s.downcase) }
    end

    def self.stream_headers(headers)
      own = without_body(headers)
      given = own.map { |name, _| name.to_s.downcase }
      STREAM_HEADERS.reject { |name, _| given.include?(name) }.merge(own)
    end

    # Calls the handler for one event, and returns the next request or event.
    def self.handle(id, slot, event)
      name, client, handler, data, key = event
      handler = Handlers.find(key) if key
      begin
        call(name, client, handler, data)
      ensure
        Handlers.drop(key) if key && name == :on_close
      end
      Native.take(id, slot)
    end

    def self.call(name, client, handler, data)
      return handler.on_message(client, data) if name == :on_message

      handler.public_send(name, client) if name != :on_close || handler.respond_to?(:on_close)
    rescue StandardError => e
      Log.error("#{name} of #{client.is_a?(Native::EventStream) ? "an event stream" : "a WebSocket"} raised", e)
      client.fail
    end

    def self.keep(handler)
      return if Ractor.shareable?(handler)
      return Handlers.keep(handler) if Ractor.current == Ractor.main

      raise TypeError, "env[\"rack.upgrade\"] is not shareable (#{handler.class}), but events of one client run in several " \
                       "Ractors: use a module, a class or a frozen object, or run the server with `mode :threaded`"
    end

    def self.pattern?(match)
      case match
      when nil then false
      when :pattern, :redis then true
      else raise ArgumentError, "match: #{match.inspect} is neither nil nor :pattern"
      end
    end

    def self.check_protocol(env, headers)
      if headers.any? { |name, _| name.to_s.casecmp?("sec-websocket-extensions") }
        raise ArgumentError, "the response has sec-websocket-extensions, which are the server's: see the option websocket_compression"
      end

      _, chosen = headers.find { |name, _| name.to_s.casecmp?("sec-websocket-protocol") }
      return if chosen.nil? || env.fetch("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(/\s*,\s*/).include?(chosen)

      raise ArgumentError, "the response has sec-websocket-protocol #{chosen.inspect}, which the client does not offer: " \
                           "choose one of env[\"HTTP_SEC_WEBSOCKET_PROTOCOL\"], or none"
    end

    def self.pack(env)
      Marshal.dump(env.select { |key, value| plain?(value) && !key.start_with?("rack.upgrade") })
    end

    def self.plain?(value)
      case value
      when Array then value.instance_of?(Array) && value.all? { |each| plain?(each) }
      when Hash then value.instance_of?(Hash) && !value.default_proc && value.all? { |key, each| plain?(key) && plain?(each) }
      else PLAIN.include?(value.class)
      end
    end
  end
end
