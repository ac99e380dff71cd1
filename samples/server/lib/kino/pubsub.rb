# frozen_string_literal: true

require "fileutils"

require_relative "app/error_report"
require_relative "app/log"
require_relative "app/pid_file"
require_relative "errors"
require_relative "native"

module Kino
  # Channels across processes and machines: what Kino.publish sends reaches the clients of this process at once, and those of
  # others through an engine.
  #
  #   Kino::PubSub.engine = Kino::PubSub::Redis.new(url: "redis://127.0.0.1:6379")
  #
  # An engine is an object with three methods:
  #
  #   start { |channel, data| }   begins; the block delivers what other processes have published, from any Thread
  #   publish(channel, data)      sends it to the others, and not back to this process. data is text if it is in UTF-8, and
  #                               otherwise in ASCII-8BIT. Called by one Thread, which may wait here; publishers do not wait for
  #                               it. An exception means that the message is dropped
  #   stop                        ends; afterwards #start may be called again
  #
  # It is started with the first server of the process, in that process, and stopped with the last. What waits for it is bounded:
  # 4096 messages and 16 MiB. Further ones are dropped and counted, see .stats. The others keep their order.
  #
  # Threads: any of the main Ractor.
  module PubSub
    autoload :Redis, File.expand_path("pubsub/redis.rb", __dir__)
    autoload :Unix, File.expand_path("pubsub/unix.rb", __dir__)

    METHODS = %i[start publish stop].freeze

    @lock = Mutex.new
    @counting = Mutex.new
    @users = 0
    @sent = @received = @failed = 0

    class << self
      # Nil: channels reach this process alone.
      attr_reader :engine

      # Replaces the engine; one that is running is stopped.
      def engine=(engine)
        missing = METHODS.reject { |name| engine.respond_to?(name) } if engine
        raise ArgumentError, "#{engine.inspect} is not an engine: it has no #{missing.join(", ")}" if missing&.any?

        @lock.synchronize do
          stop_engine if @thread
          @engine = engine
          start_engine if @users.positive?
        end
      end

      # The engine for an address, as of the option pubsub: unix:///DIRECTORY, redis://HOST:PORT/DB or rediss://.
      def engine_at(address)
        case address
        when %r{\Aunix://(/.+)\z} then Unix.new(Regexp.last_match(1))
        when %r{\Arediss?://.} then Redis.new(url: address)
        else
          raise ConfigError, "pubsub #{address.inspect}: neither unix:///DIRECTORY nor redis://HOST:PORT; set another engine " \
                             "with Kino::PubSub.engine="
        end
      rescue Error
        raise
      rescue StandardError => e # Without the address, which may have a password.
        raise ConfigError, "pubsub: redis-client cannot use the address (#{e.class})"
      end

      # For a server, and for a process without one that wants to publish. Followed by .stop.
      def start(address = nil)
        @lock.synchronize do
          # A forked child has the parent's numbers, and none of its Threads.
          @users, @thread = 0, nil unless @pid == Process.pid
          @pid = Process.pid
          @engine ||= engine_at(address) if address
          start_engine if @users.zero?
          @users += 1
        end
      end

      def stop
        @lock.synchronize do
          next if @users.zero? || @pid != Process.pid

          @users -= 1
          stop_engine if @users.zero?
        end
      end

      # Numbers of messages, since the process began: sent to other processes, received from them, failed in the engine, and
      # dropped because they came faster than the engine takes them.
      def stats
        { sent: @sent, received: @received, failed: @failed, dropped: Native.outbox_dropped }
      end

      # For a master: gives the processes that it will fork a directory to meet in, unless they have an engine. Returns it.
      def meeting_for(settings)
        return if engine || settings[:pubsub]

        require_relative "app/temporary_directory"
        directory = TemporaryDirectory.create(40)
        settings.settle(:pubsub) { "unix://#{directory}" }
        @meeting = directory
      end

      # For a process whose master has been killed, when its server has stopped: the last one removes the directory.
      def leave_meeting
        return unless @meeting

        # A process that was killed has left its socket, whose name begins with its pid.
        Dir.each_child(@meeting) { |name| FileUtils.rm_f(File.join(@meeting, name)) unless PidFile.running?(name.to_i) }
        Dir.rmdir(@meeting)
      rescue SystemCallError
        nil # others are there
      end

      private

      def start_engine
        engine = @engine or return

        engine.start do |channel, data|
          @counting.synchronize { @received += 1 } # engines may have several Threads
          Native.deliver_message(channel, data)
        end
        Native.open_outbox
        @thread = Thread.new { forward(engine) }
        @thread.name = "kino pubsub"
      end

      def stop_engine
        thread, @thread = @thread, nil
        return unless thread

        Native.close_outbox
        # What is left is sent, unless the engine hangs.
        thread.kill unless thread.join(5)
        @engine.stop
      rescue StandardError => e
        Log.error("the engine of pubsub could not be stopped", e)
      end

      def forward(engine)
        while (message = Native.next_outgoing)
          send_on(engine, *message)
        end
      end

      # The first failure of a row is logged.
      def send_on(engine, channel, data)
        engine.publish(channel, data)
        @sent += 1
        Log.line("pubsub: messages reach other processes again") if @failing
        @failing = false
      rescue StandardError => e
        @failed += 1
        unless @failing
          Log.line("pubsub: a message does not reach other processes: #{ErrorReport.message_of(e)} (#{e.class}); further ones are " \
                   "dropped until that works again")
        end
        @failing = true
      end
    end
  end
end
