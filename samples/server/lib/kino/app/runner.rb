# frozen_string_literal: true

require_relative "banner"
require_relative "handover"
require_relative "launch"
require_relative "log"
require_relative "service_manager"
require_relative "signals"
require_relative "stats_line"

module Kino
  # Runs a server that owns its process: signals control it, systemd is told what it does, and USR2 replaces the process
  # without downtime.
  class Runner
    ALONE = "TTIN and TTOU add and remove processes, so they have no effect with one: start the server with processes 2 or more"

    # With a terminal, the shell uses TTIN and TTOU to stop jobs in the background.
    def self.signals
      $stdin.tty? ? Signals::ACTIONS : Signals::ACTIONS.merge("TTIN" => :resize, "TTOU" => :resize)
    end

    def initialize(server, banner)
      @server = server
      @banner = banner
      @signals = Signals.new(Runner.signals) { server.cancel_start }
      @services = ServiceManager.new
      @handover = Handover.new(@services)
    end

    # Returns when a signal has stopped the server. Any other end, by another signal's exception or `exit`, also drains
    # in-flight requests first.
    def run
      @server.settings.remarks.each { |sentence| Log.line(sentence) }
      @signals.trap
      @server.start
      started
      follow_signals
    rescue StartCancelled => e
      Log.line(e.message)
    ensure
      @signals.stopping!
      stop
      @signals.restore
    end

    # May be called from any Thread.
    def stop_soon
      @signals.push(:stop)
    end

    # What a HUP does; may be called from any Thread.
    def reload
      @services.reloading
      @server.reopen_logs
      @server.reload_certificates
      @services.ready(status)
    end

    private

    def started
      Banner.show(@server, @banner) if @banner
      warning = Banner.warning(@server.mode)
      Log.line(warning) if warning
      @services.ready(status)
      @services.watch
      Launch.of_this_process.ready
    end

    def status
      "listening on #{@server.urls.join(", ")}"
    end

    def follow_signals
      loop do
        case @signals.next
        when :stop then return
        when :reopen then reload
        when :stats then Log.line("stats #{StatsLine.of(@server.stats)}")
        when :restart then restart
        when :resize then Log.line(ALONE)
        when :restart_failed then @handover.failed(status)
        when :replaced then return replaced
        end
      end
    end

    def restart
      return unless @handover.start(status) { @server.listening_sockets }

      Thread.new(@handover.successor) { |one| @signals.push(one.await == :ready ? :replaced : :restart_failed) }.name = "kino restart"
    rescue ThreadError => e
      @handover.cancel
      @handover.cannot_start(e, status)
    end

    def replaced
      @handover.done
      @server.leave_addresses
      @replaced = true
    end

    # A stop that takes longer than a moment would look like a hang.
    def say_what_is_left
      return unless @server.running?

      left = @server.stats.values_at(:in_flight, :queued).sum
      return if left.zero?

      Log.line("stopping: #{left} #{left == 1 ? "request has" : "requests have"} up to #{Options.fetch(:shutdown_timeout).show(@server.settings[:shutdown_timeout])} " \
               "to finish; a second signal ends the process at once")
    end

    def stop
      @handover.cancel
      @services.stopping
      @services.stop
      say_what_is_left
      # A new process already has the new connections.
      @server.shutdown(delay: @replaced ? 0 : @server.settings[:drain_delay]) if @server.running?
      @handover.end_cancelled
    end
  end
end
