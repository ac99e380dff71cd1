# frozen_string_literal: true

require_relative "../app/access_log"
require_relative "../app/launch"
require_relative "../app/log"
require_relative "../app/pid_file"
require_relative "../listen/certificates"
require_relative "../listen/socket_watch"
require_relative "child"
require_relative "control_desk"
require_relative "sockets"

module Kino
  module Processes
    # Where the processes of a master are found: the sockets of the server, the control plane, and the pidfile that leads to both.
    # Used by the master's only Thread.
    class Addresses
      def initialize(server)
        @server = server
      end

      # The ControlDesk; nil without a control plane.
      attr_reader :desk

      # Opens all, and finds everything that can be wrong before the first fork. Raises Error; what is open then is to be removed
      # nevertheless.
      def open
        inherited = Launch.of_this_process.take_sockets
        @desk = ControlDesk.for(@server, inherited)
        wanted = @server.addresses_to_bind(inherited)
        inherited&.drop_others { |sentence| Log.line(sentence) }
        Certificates.for(@server.settings)&.load
        AccessLog.check(@server.settings)
        create_pid_file unless Launch.of_this_process.predecessor # It has its file until this process is ready.
        @sockets = @server.settings.placed(*Address::OPTIONS) { Sockets.new(wanted, reuse_port: @server.settings[:reuse_port]) }
        @server.serves_at(@sockets.addresses, @desk ? @desk.addresses : [])
        @pid_file&.lead_to(@server.control_urls)
        inherited&.close
        watch([*@sockets.files, *@desk&.files])
      end

      def create_pid_file
        @pid_file = PidFile.for(@server.settings)
        @pid_file&.lead_to(@server.control_urls)
      end

      # When to #look, or nil.
      def next_look = (@look_at if @watch)

      # Looks after the files of Unix sockets, if it is time.
      def look
        return unless @watch && Child.now >= @look_at

        @watch.look
        @look_at = Child.now + SocketWatch::SECONDS
      end

      # Those of the server, each with its socket.
      def to_serve = @sockets.addresses

      # Of the server and the control plane.
      def sockets = [*@sockets.to_a, *@desk&.sockets]

      # In a process that does not accept, or no longer.
      def close_sockets
        @watch = nil
        @sockets&.close
      end

      # Another program serves them now.
      def leave
        @watch = nil
        @sockets.leave_files
        @desk&.leave_files
        @pid_file = nil
      end

      def remove_files
        @desk&.remove_files
        @sockets&.remove_files
        @pid_file&.remove
      end

      private

      def watch(files)
        @watch = SocketWatch.of(files)
        @look_at = Child.now + SocketWatch::SECONDS
      end
    end
  end
end
