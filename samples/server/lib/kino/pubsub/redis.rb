# frozen_string_literal: true

require "securerandom"

require_relative "../app/error_report"
require_relative "../app/log"
require_relative "../errors"

begin
  require "redis-client"
rescue LoadError
  raise Kino::ConfigError, "Kino::PubSub::Redis needs the gem redis-client: add it to the Gemfile, or run `gem install redis-client`"
end

module Kino
  module PubSub
    # The engine for several machines: they meet in a Redis, or in what speaks its protocol (Valkey, KeyDB).
    #
    # A channel "news" is the Redis channel "kino:news". A message begins with MARK, the name of its process, and its kind. What
    # other programs publish there has no mark: all of it is the data, and text if it is valid UTF-8.
    #
    # A message reaches the processes that are connected at the time. While Redis cannot be reached, messages are dropped; clients
    # of the publishing process get them all the same. Both connections come back by themselves.
    class Redis
      MARK = "\x00kino1".b.freeze
      KINDS = { "t" => Encoding::UTF_8, "b" => Encoding::BINARY }.freeze
      NAME_SIZE = 16
      HEAD_SIZE = MARK.bytesize + NAME_SIZE + 1
      # Seconds between two attempts to connect: doubled after each, up to the last.
      FIRST_DELAY = 0.05
      LAST_DELAY = 5.0

      # +prefix+: of the Redis channels. +options+ are those of RedisClient.config: url, or host, port, path, password, ssl, ...
      def initialize(prefix: "kino:", **options)
        @prefix = prefix.b
        @config = RedisClient.config(**{ timeout: 2.0, reconnect_attempts: 0 }, **options)
      end

      def start(&receive)
        @receive = receive
        @name = SecureRandom.random_bytes(NAME_SIZE)
        @client = @config.new_client
        @retry_at = 0
        @delay = FIRST_DELAY
        @listener = Thread.new { listen }
        @listener.name = "kino pubsub redis"
      end

      # Raises if the message is lost; at most once for each delay, it tries to connect.
      def publish(channel, data)
        raise Error, "Redis cannot be reached" if now < @retry_at

        send_out(channel, data)
        @delay = FIRST_DELAY
      end

      def stop
        @listener.kill.join
        @client.close
      end

      private

      def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

      def send_out(channel, data)
        kind = data.encoding == Encoding::UTF_8 ? "t" : "b"
        @client.call("PUBLISH", @prefix + channel.b, MARK + @name + kind + data.b)
      rescue StandardError # of redis-client, and of its parser if the server does not speak the protocol
        @client.close
        @retry_at = now + @delay
        @delay = [@delay * 2, LAST_DELAY].min
        raise
      end

      def listen
        delay = FIRST_DELAY
        loop do
          hear { delay = FIRST_DELAY }
        rescue StandardError => e # likewise
          Log.line("pubsub: no messages of others arrive: #{ErrorReport.message_of(e)} (#{e.class})") if delay == FIRST_DELAY
          sleep(delay * rand(0.5..1.0)) # not all processes at once
          delay = [delay * 2, LAST_DELAY].min
        end
      end

      # Yields once the subscription holds.
      def hear
        connection = @config.new_client.pubsub
        connection.call("PSUBSCRIBE", "#{@prefix.gsub(/[\\*?\[\]]/) { |special| "\\#{special}" }}*")
        loop do
          event = connection.next_event(nil)
          raise event if event.is_a?(RedisClient::Error) # The user may not subscribe, perhaps.

          kind, _, channel, payload = event
          yield if kind == "psubscribe"
          take(channel.b.delete_prefix(@prefix), payload.b) if kind == "pmessage"
        end
      ensure
        connection&.close
      end

      def take(channel, payload)
        channel.force_encoding(Encoding::UTF_8)
        unless payload.start_with?(MARK) && payload.bytesize >= HEAD_SIZE
          text = payload.dup.force_encoding(Encoding::UTF_8)
          return @receive.call(channel, text.valid_encoding? ? text : payload)
        end
        return if payload.byteslice(MARK.bytesize, NAME_SIZE) == @name

        encoding = KINDS.fetch(payload.byteslice(HEAD_SIZE - 1, 1), Encoding::BINARY)
        @receive.call(channel, payload.byteslice(HEAD_SIZE..).force_encoding(encoding))
      end
    end
  end
end
