# frozen_string_literal: true

require "rbconfig"

module Kino
  # How this process was started: its command, environment and directory, so the same program can be started again, and what
  # it has inherited. To be asked for first before the app is loaded, which may change all of it.
  class Launch
    # Names the process that this one replaces, a pipe to it, the inode of that pipe, and its sockets: "PID:PIPE:INODE:SOCKET,SOCKET".
    REPLACES = "_KINO_REPLACES"
    # Set beside it if no program keeps those sockets open but the two. (An older kino neither sets nor reads it.)
    OWNS_SOCKETS = "_KINO_OWNS_SOCKETS"
    READY = "ready"
    # What systemd sets for the one process that it starts; see sd_listen_fds(3) and sd_watchdog_enabled(3).
    FIRST_DESCRIPTOR = 3
    OF_ONE_PROCESS = %w[LISTEN_PID LISTEN_FDS LISTEN_FDNAMES WATCHDOG_PID].freeze

    def self.of_this_process
      @of_this_process ||= new
    end

    # The process that this one replaces, or nil.
    attr_reader :predecessor

    def initialize
      @command = read_command
      @environment = ENV.to_h.except(REPLACES, OWNS_SOCKETS, *OF_ONE_PROCESS).freeze
      # As the user named it: a link on the way may lead to a new release at the next start.
      @directory = File.identical?(ENV.fetch("PWD", ""), ".") ? ENV.fetch("PWD") : Dir.pwd
      owns = ENV.delete(OWNS_SOCKETS)
      @sockets = from_predecessor || from_systemd
      @owns_sockets = @sockets.nil? || @predecessor && !owns.nil?
    end

    # Whether no other program, such as systemd, keeps the inherited sockets open.
    def owns_sockets? = @owns_sockets

    # The value of REPLACES for a process that this one starts.
    def self.replacing(pipe, sockets) = [Process.pid, pipe.fileno, pipe.stat.ino, sockets.map(&:fileno).join(",")].join(":")

    # Starts the program again. +variables+ are added to its environment. Returns its pid; raises SystemCallError.
    def again(variables, descriptors)
      # A command without arguments would be read by a shell.
      program = [@command.first, @command.first]
      Process.spawn(@environment.merge(variables), program, *@command.drop(1), descriptors.to_h { |io| [io, io] }
                           .merge(chdir: @directory, unsetenv_others: true))
    end

    # The InheritedSockets, once; nil: none.
    def take_sockets
      taken, @sockets = @sockets, nil
      taken
    end

    # Tells the predecessor that it may stop.
    def ready
      @pipe&.write(READY)
      @pipe&.close
    rescue Errno::EPIPE
      nil # it has ended already
    ensure
      @pipe = nil
    end

    # In a forked process, which neither replaces another one nor has inherited sockets to give away.
    def forget
      @pipe&.close
      @pipe = @predecessor = @sockets = nil
    end

    private

    # With Ruby's own options. A process that has given itself a name has no zeros there.
    def read_command
      words = File.binread("/proc/self/cmdline").split("\0", -1)[0..-2]
      words.size > 1 ? words : [RbConfig.ruby, $PROGRAM_NAME, *ARGV]
    rescue SystemCallError
      [RbConfig.ruby, $PROGRAM_NAME, *ARGV]
    end

    def from_predecessor
      pid, pipe, inode, sockets = ENV.delete(REPLACES)&.match(/\A(\d+):(\d+):(\d+):([\d,]*)\z/)&.captures
      @pipe = pipe_at(pipe.to_i, inode.to_i) if pid
      return unless @pipe

      @pipe.close_on_exec = true
      @predecessor = pid.to_i
      inherited(sockets.split(",").map(&:to_i), removes_files: true)
    end

    # The pipe to the predecessor, or nil. The variable may have been meant for the process that has started this one; then the
    # descriptor is not that pipe. The pid of the parent proves nothing: the predecessor may have been killed.
    def pipe_at(descriptor, inode)
      pipe = IO.for_fd(descriptor, autoclose: false)
      IO.for_fd(descriptor, "w") if pipe.stat.pipe? && pipe.stat.ino == inode
    rescue SystemCallError
      nil
    end

    def from_systemd
      pid, count = OF_ONE_PROCESS.first(2).map { |name| ENV[name].to_i }
      return unless pid == Process.pid && count.positive?

      OF_ONE_PROCESS.first(3).each { |name| ENV.delete(name) }
      inherited(Array.new(count) { |place| FIRST_DESCRIPTOR + place }, removes_files: false)
    end

    def inherited(...)
      require_relative "../listen/inherited_sockets"
      InheritedSockets.new(...)
    end
  end
end
