# frozen_string_literal: true

require "fileutils"

require_relative "../app/banner"
require_relative "../app/handover"
require_relative "../app/service_manager"
require_relative "../app/signals"
require_relative "../pubsub"
require_relative "child"
require_relative "crew"

module Kino
  module Processes
    # Runs a server in several processes: forks them, watches them, replaces those that end, and restarts and stops them together.
    # It answers no request and has one Thread, which sleeps until something happens, so it can fork at any time.
    class Master
      SIGNALS = Signals::ACTIONS.merge("CHLD" => :wake, "USR1" => :restart_in_phases, "USR2" => :restart, "TTIN" => :grow, "TTOU" => :shrink).freeze

      NOT_IN_RACTORS = "TTIN and TTOU have no effect in mode ractor: the handlers of each process compute on all CPUs already; change workers " \
                       "or processes in the configuration, and restart with USR2"

      def initialize(server, banner)
        @server = server
        @banner = banner
        @services = ServiceManager.new
        @handover = Handover.new(@services)
        @signals = Signals.new(SIGNALS)
        @crew = Crew.new(server) { @signals.forget }
        @signals.on_force = method(:end_at_once)
      end

      # Returns when a signal has stopped all processes. Raises Error if they cannot be started.
      def run
        Launch.of_this_process # before the title changes the command line
        Log.without_thread(true) # a native thread would not be in the processes
        @server.log_remarks
        @server.settings.remarks.each { |sentence| Log.line(sentence) }
        @events = @signals.io
        @signals.trap
        @meeting = PubSub.meeting_for(@server.settings)
        @crew.assemble
        turn until @crew.complete? || @stop
        started unless @stop
        turn until @stop
      ensure
        @signals.stopping!
        stop
        @signals.restore
        remove_meeting
        Log.without_thread(false)
      end

      # May be called from any Thread.
      def stop_soon = @signals.push(:stop)

      private

      # In a trap.
      def end_at_once
        @crew.kill_all
        remove_meeting
      end

      def remove_meeting
        FileUtils.remove_entry(@meeting, true) if @meeting
      end

      def started
        @crew.show_complete
        Banner.show(@server, @banner) if @banner
        warning = Banner.warning(@server.mode)
        Log.line(warning) if warning
        @services.ready(status)
        Launch.of_this_process.ready
        @watchdog = @services.watchdog_period
        @next_sign = Child.now
      end

      def status
        "listening on #{@server.urls.join(", ")} with #{@crew.count_text}"
      end

      # Sleeps until something happens, and acts.
      def turn
        IO.select([@events, *@crew.reports, @handover.successor&.io].compact, nil, nil, patience)
        @signals.drain_io
        while (event = @signals.next_nonblock)
          act(event)
        end
        @crew.reap_adopted if Process.pid == 1
        @crew.follow { |word| word == "stop" ? @stop = true : reload }
        followed_successor
        show_life
      end

      # Nil: until something happens.
      def patience
        times = [@crew.next_at, (@next_sign if @watchdog)].compact
        [times.min - Child.now, 0].max unless times.empty?
      end

      def act(event)
        case event
        when :stop then @stop = true
        when :reopen then reload
        when :restart_in_phases then restart_in_phases
        when :restart then restart unless @stop
        when :grow, :shrink then resize(event) unless @stop
        end
      end

      def reload
        @services.reloading
        Log.reopen
        @crew.order("reopen")
        @services.ready(status)
      end

      def restart_in_phases
        return if @stop
        return Log.line("restart: the processes are being started, or replaced, already") unless @crew.restart_in_phases

        Log.line("restart: replacing #{@crew.count_text}, one after the other")
      end

      # TTIN and TTOU.
      def resize(event)
        return Log.line(NOT_IN_RACTORS) if @server.mode == :ractor

        event == :grow ? grow : shrink
        @services.ready(status)
      end

      def grow
        added = @crew.grow
        Log.line("processes: #{@crew.count}; #{added ? "process #{added + 1} is added" : "there may be no more"}")
      end

      def shrink
        gone = @crew.shrink
        what = if gone.nil? then "the last one stays"
               elsif gone.empty? then "process #{@crew.count + 1}, which had ended, is not replaced"
               else "#{gone.first.name} answers what it has, and ends"
               end
        Log.line("processes: #{@crew.count}; #{what}")
      end

      def restart
        @handover.start(status) { @crew.sockets.map(&:dup) }
      end

      def followed_successor
        outcome = @handover.successor&.outcome or return
        return @handover.failed(status) if outcome == :ended

        @handover.done
        @crew.leave_addresses
        @stop = @replaced = true
      end

      # Shows the service manager that this loop runs.
      def show_life
        return unless @watchdog && Child.now >= @next_sign

        @services.alive
        @next_sign = Child.now + @watchdog
      end

      def stop
        @stop = true
        @handover.cancel
        @services.stopping
        # The processes of a new program already have the new connections.
        @replaced ? @crew.dismiss("leave", 0) : @crew.dismiss("stop", @server.settings[:drain_delay])
        turn until @crew.empty?
        turn until @crew.close_desk
        @handover.end_cancelled
        @crew.remove_files
      end
    end
  end
end
