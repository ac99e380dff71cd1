# frozen_string_literal: true

require "fileutils"

require_relative "../app/temporary_directory"
require_relative "../control/control_plane"
require_relative "child"
require_relative "facts"
require_relative "sockets"

module Kino
  module Processes
    # The control plane of several processes, as the master sees it: its sockets, the directory in which the processes answer, and
    # the process that answers for all.
    class ControlDesk
      # The longest path of a Unix socket is 107 bytes on Linux, and 103 elsewhere.
      LONGEST_DIRECTORY = 80
      NUMBER = :control
      START_SECONDS = 60

      # Nil without control_bind. +inherited+: InheritedSockets, or nil. Raises ConfigError and BindError.
      def self.for(server, inherited)
        plane = ControlPlane.for(server.settings, inherited)
        new(server, plane) if plane
      end

      def initialize(server, plane)
        @server = server
        @plane = plane
        @sockets = server.settings.placed(:control_bind) { Sockets.new(plane.to_bind, option: "--control-bind") }
        plane.to_bind = @sockets.addresses
        @directory = TemporaryDirectory.create(LONGEST_DIRECTORY)
        @facts = Facts.new(server.processes, 0, 0)
        @orders = []
      end

      # The Child; nil if there is none now.
      attr_reader :child

      def addresses = @sockets.addresses

      def sockets = @sockets.to_a

      # Where the process +pid+ answers.
      def path(pid) = File.join(@directory, pid.to_s)

      # Forks the process. +siblings+: as in Child.new.
      def start(siblings)
        @child = Child.new(NUMBER, siblings, START_SECONDS) do |ends|
          yield
          require_relative "control_process"
          ControlProcess.new(@plane, @server.mode, @directory, ends, @facts).run
        end
        @orders.each { |word| @child.order(word) }
        @child
      end

      # It has ended; the next one gets the state that this one had.
      def ended
        @child = nil
      end

      # "serving" or "draining", and Facts.
      def show(phase, facts)
        @facts = facts
        @orders = ["facts #{facts}", phase]
        @orders.each { |word| @child&.order(word) }
      end

      def leave(kill_at) = @child&.leave("leave", kill_at)

      def files = @sockets.files

      def leave_files = @sockets.leave_files

      def remove_files
        @sockets.remove_files
        remove_directory
      end

      # In a trap, too.
      def remove_directory = FileUtils.rm_rf(@directory)

      # In a process that does not answer operators.
      def close = @sockets.close
    end
  end
end
