# frozen_string_literal: true

require_relative "launch"
require_relative "log"
require_relative "successor"

module Kino
  # Starts the program again and lets the new process take over: what is logged, and what the service manager is told.
  class Handover
    def initialize(services)
      @services = services
    end

    # The process that is being started, or nil.
    attr_reader :successor

    # Starts it with the sockets that the block returns, IOs, which are closed here. Returns whether it is being started.
    # +status+: what the service manager is told if this process serves on.
    def start(status)
      return refuse("the new process (pid #{@successor.pid}) is being started already") if @successor
      return refuse("the init process of a container (pid 1) cannot be replaced; start a new container") if Process.pid == 1

      @services.reloading
      sockets = yield
      @successor = Successor.new(Launch.of_this_process, sockets)
      Log.line("restart: starting the new process (pid #{@successor.pid})")
      true
    rescue SystemCallError => e
      cannot_start(e, status)
    ensure
      sockets&.each(&:close)
    end

    def cannot_start(error, status)
      @services.ready(status)
      refuse("the new process cannot be started: #{error.message}; this one serves on")
    end

    # It has ended instead of becoming ready.
    def failed(status)
      Log.line("restart: the new process (pid #{@successor.pid}) ended with #{@successor.ending} before it was ready; this one serves on")
      @successor = nil
      @services.ready(status)
    end

    # It is ready.
    def done
      Log.line("restart: the new process (pid #{@successor.pid}) is ready; this one answers what it has accepted")
      @services.handed_over_to(@successor.pid)
      @successor = nil
    end

    # Asks it to end.
    def cancel
      @successor&.cancel
    end

    # To be called after #cancel, when this process has nothing else to do: returns when the new one has ended, or has become ready.
    def end_cancelled
      @successor&.end_cancelled
    end

    private

    def refuse(sentence)
      Log.line("restart: #{sentence}")
      false
    end
  end
end
