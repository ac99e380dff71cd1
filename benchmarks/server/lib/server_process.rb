# frozen_string_literal: true

require "rbconfig"
require "socket"

module Bench
  # A server under test, started on a free port of 127.0.0.1 in its own process group.
  class ServerProcess
    class Failed < StandardError; end

    RUNNING = []
    at_exit { RUNNING.dup.each(&:stop) }

    attr_reader :port, :pid

    def initialize(peer, installer:, rackup: File.join(Peers::HERE, "app.ru"), cpus: Machine.server_cpus, gems: nil, libraries: [], jit: Machine.jit?, **variant)
      @peer = peer
      @installer = installer
      @rackup = rackup
      @cpus = cpus
      @gems = gems
      @libraries = libraries
      @jit = jit
      @variant = variant
    end

    # Returns when the server answers GET with this path, or without one, when it accepts a connection; raises Failed with the end of its log if it does not.
    def start(probe)
      @port = TCPServer.open("127.0.0.1", 0) { |socket| socket.addr[1] }
      @log = File.join(Endpoint.scratch, "#{@peer.name}.log")
      @pid = Process.spawn(environment, *command, pgroup: true, chdir: Endpoint.scratch, in: File::NULL, %i[out err] => @log)
      RUNNING << self
      deadline = now + 40
      until answers?(probe)
        raise Failed, "#{@peer.name} exited during startup: #{end_of_log}" if gone?
        raise Failed, "#{@peer.name} did not answer within 40 s: #{end_of_log}" if now > deadline

        sleep 0.05
      end
      self
    rescue Failed
      stop
      raise
    end

    def stop
      return unless RUNNING.delete(self)

      signal(:TERM, @pid) unless gone?
      gone = within(6) { gone? }
      signal(:KILL, -@pid) # workers that survive their master or ignore TERM
      Process.wait(@pid) unless gone
    end

    # Yields the first time that it is called with this name.
    def once(name)
      @done ||= {}
      @done.fetch(name) { @done[name] = yield }
    end

    # Proportional memory of all processes, in MB.
    def pss
      tree.sum { |pid| File.read("/proc/#{pid}/smaps_rollup")[/^Pss:\s+(\d+)/, 1].to_i rescue 0 } / 1024.0
    end

    # CPU seconds of all live processes.
    def cpu_seconds
      tree.sum { |pid| stat(pid)&.then { |fields| fields[11].to_i + fields[12].to_i } || 0 } / Float(Etc.sysconf(Etc::SC_CLK_TCK))
    end

    private

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

    def signal(name, pid)
      Process.kill(name, pid)
    rescue Errno::ESRCH
      nil
    end

    def gone?
      @gone ||= !Process.wait(@pid, Process::WNOHANG).nil?
    end

    def within(seconds)
      deadline = now + seconds
      until (result = yield)
        return if now > deadline

        sleep 0.02
      end
      result
    end

    def command
      given = @peer.command_for(@port, @rackup, **@variant)
      given = [RbConfig.ruby, *given] unless @peer.native
      given[1..2] = ["#{@installer.home(@peer.gem)}/bin/#{given[2]}"] if @peer.gem && given[1] == "-S"
      given[2..3] = ["#{@installer.home(@peer.gem)}/bin/#{given[3]}"] if @peer.gem && given[2] == "-S"
      Machine.pinned(@cpus, given)
    end

    def environment
      own = { "RUBYOPT" => (@jit ? "--yjit" : nil), "RACK_ENV" => "production", "BUNDLE_GEMFILE" => nil }
      gems = [@gems && @installer.home(@gems)].compact
      if @peer.gem
        home = @installer.home(@peer.gem)
        own.merge("GEM_HOME" => home, "GEM_PATH" => [home, *gems].join(":"), "RUBYLIB" => @libraries.join(":"))
      else
        own.merge("GEM_PATH" => [ENV["GEM_HOME"], *gems, Gem.default_dir].compact.join(":"), "RUBYLIB" => [*@libraries, *ENV.fetch("KINO_BENCH_RUBYLIB", nil)].join(":"))
      end
    end

    def answers?(path)
      Socket.tcp("127.0.0.1", @port, connect_timeout: 1) do |socket|
        return true unless path

        socket.timeout = 5 if socket.respond_to?(:timeout=)
        socket.write("GET #{path} HTTP/1.1\r\nhost: 127.0.0.1:#{@port}\r\nconnection: close\r\n\r\n")
        socket.wait_readable(5) && socket.readpartial(4096).start_with?("HTTP/1.1 200")
      end
    rescue SystemCallError, EOFError, IOError
      false
    end

    def end_of_log
      lines = File.readlines(@log, chomp: true).map(&:strip).reject(&:empty?)
      (lines.grep(/Error|error:/).last(1) + lines.last(1)).uniq.join(" / ")[0, 300]
    rescue SystemCallError
      "no log"
    end

    # /proc/PID/stat after the name, which may contain anything: state, parent, group, ...
    def stat(pid)
      File.read("/proc/#{pid}/stat").rpartition(")").last.split
    rescue SystemCallError
      nil
    end

    def tree
      parents = Dir.children("/proc").grep(/\A\d+\z/).to_h { |pid| [pid.to_i, stat(pid)&.at(1).to_i] }
      found = [@pid]
      found.each { |parent| found.concat(parents.select { |_, other| other == parent }.keys) }
    end
  end
end
