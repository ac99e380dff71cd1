# frozen_string_literal: true

require_relative "launch"

module Kino
  # The process that replaces this one without downtime: the same program, started again with the listening sockets of this
  # one. Both accept connections until this one stops.
  class Successor
    CANCEL_SECONDS = 3

    attr_reader :pid

    # Starts it with +sockets+, IOs. Raises SystemCallError if it cannot be started.
    def initialize(launch, sockets)
      @reader, writer = IO.pipe
      replaces = [Process.pid, writer.fileno, sockets.map(&:fileno).join(",")].join(":")
      @pid = launch.again({ Launch::REPLACES => replaces }, [writer, *sockets])
    rescue SystemCallError
      @reader.close
      raise
    ensure
      writer&.close
    end

    # Readable when #await will not wait.
    def io = @reader

    # Returns when it is ready, or has ended: whether it is ready.
    def await
      ready = @reader.read == Launch::READY
      _, @status = Process.wait2(@pid) unless ready
      Process.detach(@pid) if ready
      ready
    ensure
      @reader.close
    end

    # How it ended.
    def ending
      @status.exitstatus ? "status #{@status.exitstatus}" : "signal #{@status.termsig}"
    end

    # Asks it to end.
    def cancel
      Process.kill("TERM", @pid)
    rescue SystemCallError
      nil
    end

    # Kills it if it has neither become ready nor ended within CANCEL_SECONDS: the app may ignore the signal while it is loaded, and
    # Ruby may lose one that arrives while Ruby itself starts.
    def end_cancelled
      Process.kill("KILL", @pid) unless IO.select([@reader], nil, nil, CANCEL_SECONDS)
    rescue IOError, SystemCallError
      nil # #await has seen what became of it.
    end
  end
end
