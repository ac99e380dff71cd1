# frozen_string_literal: true

require_relative "../app/log"
require_relative "../app/periodic"
require_relative "../app/signals"
require_relative "../app/stats_line"
require_relative "../pubsub"
require_relative "child"
require_relative "orders"

module Kino
  module Processes
    # A process that serves: the whole life of a forked process, with the server that the master has prepared. The master
    # decides about its end; a TERM or QUIT of its own only ends this process, and the master replaces it.
    class Member
      ACTIONS = { **%w[INT USR2 TTIN TTOU].to_h { |name| [name, :nothing] }, "TERM" => :stop, "QUIT" => :stop, "HUP" => :reopen, "USR1" => :stats }.freeze

      # How many there are in the time after which the master takes their absence for a hang.
      SIGNS = 4.0

      # +part+: the Part of it.
      def initialize(server, part)
        @server = server
        @part = part
        @signals = Signals.new(ACTIONS, forced: false) { server.cancel_start }
      end

      # Returns when the server has stopped.
      def run
        @signals.trap
        Orders.new(@part.ends.orders) { |order| obey(order) }
        @server.run_hook(:after_fork, @part.number)
        @server.start(@part)
        # The server has descriptors of its own; with these, the sockets would stay open when it stops accepting.
        @part.addresses.each { |address| address.socket.close }
        @part.ends.tell(Child::READY)
        @signs = Periodic.new("kino signs of life", @server.settings[:process_timeout] / SIGNS) { show_life }
        follow
      rescue StartCancelled
        nil
      ensure
        @server.shutdown(delay: @delay || 0)
        PubSub.leave_meeting if @orphaned
      end

      # As a TERM does; may be called from any Thread.
      def stop_soon = @signals.push(:stop)

      # Likewise, as a HUP does.
      def reload
        @server.reopen_logs
        @server.reload_certificates
      end

      private

      def show_life
        @part.ends.report.write_nonblock("#{Child::ALIVE}\n", exception: false)
      rescue SystemCallError
        nil # the master has ended
      end

      # On the Thread of the orders.
      def obey(order)
        if order == Orders::ORPHANED
          @orphaned = true
          @part.control_path = nil # the control process removes the directory
        end
        @part.last_to_accept = true if order == :stop
        @server.cancel_start if %i[stop leave orphaned].include?(order)
        @signals.push(order)
      end

      def follow
        loop do
          case @signals.next
          when :stop then return @delay = @server.settings[:drain_delay]
          when :leave then return
          when :orphaned then return Log.line("the master process has ended; process #{Process.pid} answers what it has accepted, and ends")
          when :reopen then reload
          when :stats then Log.line("stats of process #{Process.pid} #{StatsLine.of(@server.stats)}")
          end
        end
      end
    end
  end
end
