# frozen_string_literal: true

require_relative "periodic"

module Kino
  # Tells the service manager what this process does, if it wants to know: systemd, for a service of Type=notify. See
  # sd_notify(3). A message that cannot be sent is lost, as with sd_notify.
  class ServiceManager
    def initialize(env = ENV)
      @path = env["NOTIFY_SOCKET"]&.sub(/\A@/, "\0")
      watched = env["WATCHDOG_PID"].nil? || env["WATCHDOG_PID"].to_i == Process.pid
      @period = env["WATCHDOG_USEC"].to_i / 2e6 if watched && env["WATCHDOG_USEC"].to_i.positive?
      require "socket" if @path && !@path.empty?
      @path = nil unless @path&.start_with?("/", "\0")
    end

    def ready(status)
      tell("READY=1", "STATUS=#{status}")
    end

    # Until `ready`.
    def reloading
      tell("RELOADING=1", "MONOTONIC_USEC=#{Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)}")
    end

    def stopping
      tell("STOPPING=1", "STATUS=draining")
    end

    # The service goes on in another process, which is ready.
    def handed_over_to(pid)
      tell("READY=1", "MAINPID=#{pid}")
      @path = nil
    end

    # Seconds between two calls of #alive; nil: nothing waits for them.
    def watchdog_period = (@period if @path)

    def alive = tell("WATCHDOG=1")

    # Shows that Ruby's threads run, twice in the time that the service manager waits for that, until `stop`.
    def watch
      return unless @path && @period

      @watchdog = Periodic.new("kino watchdog", @period) { alive }
    end

    def stop
      @watchdog&.stop
    end

    private

    def tell(*assignments)
      return unless @path

      socket = Socket.new(:UNIX, :DGRAM)
      socket.sendmsg_nonblock(assignments.join("\n"), 0, Addrinfo.unix(@path), exception: false)
    rescue SystemCallError
      nil
    ensure
      socket&.close
    end
  end
end
