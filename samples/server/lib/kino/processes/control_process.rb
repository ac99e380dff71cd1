# frozen_string_literal: true

require "fileutils"

require_relative "../app/log"
require_relative "../app/signals"
require_relative "../control/inquiries"
require_relative "../native"
require_relative "child"
require_relative "collection"
require_relative "orders"

module Kino
  module Processes
    # A process that answers operators about all processes of a server: the whole life of it. It serves no request of the app, so
    # neither a busy process nor its crash keeps operators from an answer.
    class ControlProcess
      # Only the master ends it: it tells that the others still drain.
      ACTIONS = %w[INT TERM QUIT HUP USR1 USR2 TTIN TTOU].to_h { |name| [name, :nothing] }.freeze
      # What the master is told.
      RELOAD = "reload"
      STOP = "stop"

      # +plane+: a ControlPlane whose addresses have sockets. +directory+: where the processes answer. +facts+: Facts.
      def initialize(plane, mode, directory, ends, facts)
        @plane = plane
        @mode = mode
        @directory = directory
        @ends = ends
        @collection = Collection.new(directory)
        @lock = Mutex.new # of @collection
        note(facts)
        @signals = Signals.new(ACTIONS)
      end

      def run
        @signals.trap
        Native.start_log
        @id = Native.create({ binds: [], control: @plane.to_native(@mode, collects: true) })
        @plane.open(@id)
        Asked.new(@id, self).start
        Orders.new(@ends.orders) { |order| @signals.push(order) }
        @ends.tell(Child::READY)
        follow
      ensure
        Native.stop(@id) if @id
      end

      # An answer, with the patience of the control plane.
      def collect(what, *arguments) = @lock.synchronize { @collection.public_send(what, *arguments) }

      # Passes on what an operator wants.
      def tell_master(word) = @ends.tell(word)

      # For Inquiries.
      def request_stop = tell_master(STOP)

      private

      def follow
        loop do
          order, facts = @signals.next.to_s.split(" ", 2)
          case order
          when "serving" then serve
          when "draining" then Native.announce_drain(@id)
          when "facts" then note(Facts.parse(facts))
          when "leave" then return
          when "orphaned" then return FileUtils.rm_rf(@directory)
          end
        rescue StandardError => e
          Log.error("the control process could not follow #{order}", e)
        end
      end

      # The phase is told with each change of the facts.
      def serve
        Native.start(@id) unless @serving
        @serving = true
      end

      def note(facts)
        @lock.synchronize { @collection.facts = facts }
      end

      # What the control plane asks.
      class Asked < Inquiries
        private

        def answer(subject, detail)
          case subject
          when "stats" then @server.collect(:stats)
          when "metrics" then @server.collect(:metrics, detail)
          when "workers" then @server.collect(:workers, detail)
          when "log-level" then @server.collect(:log_level, detail)
          else super
          end
        rescue StandardError => e
          Log.error("the control plane asked for #{subject}", e)
          nil
        end

        def reload
          @server.tell_master(RELOAD)
          "every process reopens its log files and reads certificates again; the log says whether they can be used"
        end
      end
    end
  end
end
