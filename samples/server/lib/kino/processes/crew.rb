# frozen_string_literal: true

require_relative "../app/access_log"
require_relative "../app/launch"
require_relative "../app/log"
require_relative "../app/pid_file"
require_relative "../listen/certificates"
require_relative "../listen/socket_watch"
require_relative "child"
require_relative "control_desk"
require_relative "member"
require_relative "part"
require_relative "phased_restart"
require_relative "places"
require_relative "preload"
require_relative "replacements"
require_relative "sockets"

module Kino
  module Processes
    # The processes of a master, and what they share. Every method belongs to the master's only Thread, and none waits.
    class Crew
      # At the start, so many quick ends of one process in a row end the master: the app cannot run.
      MOST_ATTEMPTS = 5
      # The process for operators has nothing to finish.
      DESK_SECONDS = 5

      # The block is called in each new process: it must not keep what is the master's.
      def initialize(server, &in_new_process)
        @server = server
        @in_new_process = in_new_process
        @settings = server.settings
        @children = []
        @replacements = Replacements.new
        @replaced = 0
      end

      # Opens the sockets and forks all processes. Raises Error.
      def assemble
        launch = Launch.of_this_process
        open(launch.take_sockets, launch.predecessor)
        remark = Preload.remark
        Log.line(remark) if remark
        @places = Places.new(2 * count)
        Preload.settle_memory
        Process.setproctitle("kino master of #{count} processes (#{@server.urls.join(", ")})")
        # That of another program answers until this one is ready.
        fork_control unless launch.predecessor
        count.times { |number| start_member(number) }
      end

      # Whether every process is ready.
      def complete? = @children.count(&:ready?) >= count

      # To be called once they are.
      def show_complete
        @was_complete = true
        create_pid_file if Launch.of_this_process.predecessor
        fork_control if @desk && !@desk.child
        show_phase
      end

      # Whether every process has ended, except the one for operators, which then is to leave.
      def empty? = @children.empty?

      # IOs that become readable when there is something to #follow.
      def reports = all.filter_map(&:io)

      # Of the server and the control plane.
      def sockets = [*@sockets.to_a, *@desk&.sockets]

      # When #follow must be called at the latest; nil: when something happens.
      def next_at
        limits = all.filter_map { |child| limit_of(child) }
        [*limits, *(@look_at if @watch), *(@replacements.next_at unless @dismissed)].reject { |time| time == Float::INFINITY }.min
      end

      # Acts on what has happened to the processes. Yields what operators want, "reload" or "stop". Raises Error if they cannot be
      # started.
      def follow(&block)
        all.each do |child|
          became_ready(child) if child.io && child.hear
          child.take_words.each(&block)
          check_time(child)
          status = child.reap
          ended(child, status) if status
        end
        look_at_sockets if @watch
        @replacements.due(Child.now).each { |number| number == ControlDesk::NUMBER ? fork_control : start_member(number) } unless @dismissed
      end

      def order(word)
        @children.each { |child| child.order(word) }
      end

      # Begins, unless processes are being started or replaced. The block tells when a process that is asked to leave is killed.
      def restart_in_phases
        return false unless complete? && (@phases.nil? || @phases.over?)

        leave = lambda do |child|
          @desk&.look
          child.leave("leave", yield)
        end
        @phases = PhasedRestart.new(@children, leave, &method(:fork_member))
        true
      end

      # Another program serves the addresses now.
      def leave_addresses
        @watch = nil
        @sockets.leave_files
        @desk&.leave_files
        # The new program answers operators.
        @desk&.leave(Child.now + DESK_SECONDS)
        @pid_file = nil
      end

      # Asks all processes to end; connections are refused as soon as none accepts them.
      def dismiss(word, kill_at)
        @dismissed = true
        @watch = nil
        show_phase
        @desk&.look
        @sockets&.close
        @children.each { |child| child.leave(word, kill_at) }
      end

      # In a trap, too.
      def kill_all
        all.each(&:kill)
        @desk&.remove_directory
      end

      # Asks the process for operators to end, when the others have. Returns whether it has ended.
      def close_desk
        child = @desk&.child or return true
        @desk.leave(Child.now + DESK_SECONDS) unless child.leaving?
        false
      end

      def remove_files
        @desk&.remove_files
        @sockets&.remove_files
        @pid_file&.remove
      end

      private

      def count = @server.processes

      # Everything that can be wrong is found before the first fork.
      def open(inherited, predecessor)
        @desk = ControlDesk.for(@server, inherited)
        wanted = @server.addresses_to_bind(inherited)
        inherited&.drop_others { |sentence| Log.line(sentence) }
        Certificates.for(@settings)&.load
        AccessLog.check(@settings)
        create_pid_file unless predecessor # It has its file until this process is ready.
        @sockets = @settings.placed(*Address::OPTIONS) { Sockets.new(wanted) }
        @server.serves_at(@sockets.addresses, @desk ? @desk.addresses : [])
        @pid_file&.lead_to(@server.control_urls)
        inherited&.close
        @watch = SocketWatch.of([*@sockets.files, *@desk&.files])
        @look_at = Child.now + SocketWatch::SECONDS
      end

      def look_at_sockets
        return if Child.now < @look_at

        @watch.look
        @look_at = Child.now + SocketWatch::SECONDS
      end

      def create_pid_file
        @pid_file = PidFile.for(@settings)
        @pid_file&.lead_to(@server.control_urls)
      end

      def all = [*@children, *@desk&.child]

      # If the system has no room for another process now, it is tried again.
      def start_member(number)
        fork_member(number)
      rescue SystemCallError => e
        not_forked(number, "process #{number + 1}", e)
      end

      def fork_member(number)
        @server.run_hook(:before_fork, number)
        place = @places.take
        child = Child.new(number, all, @settings[:process_start_timeout]) do |ends|
          begin_process("process #{number + 1} of #{count}")
          @desk&.close
          part = Part.new(number: number, place: place, addresses: @sockets.addresses, ends: ends, control_path: @desk&.path(Process.pid))
          @server.serve_as(Member.new(@server, part))
        end
        child.place = place
        @children << child
        child
      rescue SystemCallError
        @places.give_back(place) if place
        raise
      end

      def fork_control
        @desk&.start(all) do
          begin_process("control process of #{count}")
          @sockets.close
        end
      rescue SystemCallError => e
        not_forked(ControlDesk::NUMBER, "the control process", e)
      end

      def not_forked(number, name, error)
        delay = @replacements.ended(number, 0, Child.now)
        Log.line("#{name} cannot be started: #{error.message}; trying again in #{delay.round(1)} s")
        give_up(name) if !@was_complete && @replacements.quick_ends(number) >= MOST_ATTEMPTS
      end

      # In the new process.
      def begin_process(title)
        @in_new_process.call
        Launch.of_this_process.forget
        Log.without_thread(false)
        Process.setproctitle("kino #{title} (#{@server.urls.join(", ")})")
      end

      def show_phase
        @desk&.show(@dismissed ? "draining" : @was_complete ? "serving" : "starting", count, @replaced)
      end

      def became_ready(child)
        @phases&.ready(child)
        Log.line("#{name(child)} is ready") if @was_complete && child.number != ControlDesk::NUMBER
      end

      # When the time of a process must be checked.
      def limit_of(child)
        return child.start_by if child.starting?
        return child.look_at(@settings[:process_timeout]) if child.ready? && child.number != ControlDesk::NUMBER

        child.kill_at
      end

      def check_time(child)
        now = Child.now
        if child.starting? && now >= child.start_by
          kill(child, "was not ready within process_start_timeout (#{shown(:process_start_timeout)})")
        elsif child.kill_at && now >= child.kill_at
          kill(child, "has not ended in time")
        elsif child.number != ControlDesk::NUMBER && child.silent?(@settings[:process_timeout], now)
          kill(child, "has given no sign of life for process_timeout (#{shown(:process_timeout)}), because a Thread keeps its GVL, perhaps")
        end
      end

      def kill(child, reason)
        Log.line("#{name(child)} #{reason}, and is killed")
        child.kill
      end

      def shown(option) = Options.fetch(option).show(@settings[option])

      def ended(child, status)
        @desk.ended if child.number == ControlDesk::NUMBER
        @children.delete(child)
        @places.give_back(child.place) if child.place
        child.forget
        return if @dismissed || @phases&.ended(child)

        @replaced += 1
        show_phase
        delay = @replacements.ended(child.number, child.age, Child.now)
        Log.line("#{name(child)} ended with #{ending(status)}#{" before it was ready" if child.starting?}; it is replaced" \
                 "#{" in #{delay.round(1)} s" if delay.positive?}")
        give_up(name(child)) if !@was_complete && @replacements.quick_ends(child.number) >= MOST_ATTEMPTS
      end

      def give_up(name)
        raise Error, "#{name} has ended #{MOST_ATTEMPTS} times in a row right after its start, so the app cannot be served; " \
                     "the log says why"
      end

      def name(child)
        child.number == ControlDesk::NUMBER ? "the control process (pid #{child.pid})" : "process #{child.number + 1} (pid #{child.pid})"
      end

      def ending(status)
        status.signaled? ? "signal #{status.termsig} (#{Signal.signame(status.termsig)})" : "status #{status.exitstatus}"
      end
    end
  end
end
