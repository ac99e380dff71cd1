# frozen_string_literal: true

require_relative "../errors"

module Kino
  # The state of a server, which starts once and stops once. Its methods may be called from any Thread.
  class Lifecycle
    def initialize
      @state = :new # :starting, :running, :stopping, :stopped
      @lock = Mutex.new
      @changed = ConditionVariable.new
    end

    def running? = @state == :running

    # The caller starts the server, and then calls #started or #stopped.
    def begin_start
      @lock.synchronize do
        raise Error, "this server has already been started; create a new one" unless @state == :new

        @state = :starting
        @pid = Process.pid
      end
    end

    def started = become(:running)

    # Runs the block while the server is running, and lets no Thread begin to stop it meanwhile.
    def while_running
      @lock.synchronize do
        raise Error, "this server does not accept connections" unless running?

        yield
      end
    end

    # Waits for the end of a start in progress. Returns true to one caller: that one stops the server, and then calls #stopped.
    def begin_stop
      @lock.synchronize do
        @changed.wait(@lock) while @state == :starting
        from = @state
        @state = :stopping if from == :running
        @state, @clean = :stopped, true if from == :new
        from == :running
      end
    end

    # +clean+: whether everything that was accepted has been answered.
    def stopped(clean)
      @clean = clean
      become(:stopped)
    end

    def clean? = @clean

    # Returns when the server has stopped, or at once if it has not been started.
    def wait
      @lock.synchronize { @changed.wait(@lock) until %i[stopped new].include?(@state) }
    end

    # Whether a process has forked from the one that has started the server. It has none of the server's threads.
    def foreign? = !@pid.nil? && @pid != Process.pid

    private

    def become(state)
      @lock.synchronize do
        @state = state
        @changed.broadcast
      end
    end
  end
end
