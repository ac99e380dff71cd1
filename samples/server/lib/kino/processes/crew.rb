# frozen_string_literal: true

require_relative "../app/exit_text"
require_relative "../app/launch"
require_relative "../app/log"
require_relative "../config/processes_type"
require_relative "addresses"
require_relative "child"
require_relative "control_desk"
require_relative "facts"
require_relative "member"
require_relative "part"
require_relative "places"
require_relative "preload"
require_relative "replacements"
require_relative "time_limits"
require_relative "turnover"

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
        @addresses = Addresses.new(server)
        @limits = TimeLimits.new(server.settings)
        @count = server.processes
        @children = []
        @removed = [] # those that are to end, and of which the number has no process any more
        @replacements = Replacements.new
        @turnover = Turnover.new(method(:ask_to_leave), &method(:fork_member))
        @replaced = 0
      end

      # How many processes there are to be that serve.
      attr_reader :count

      # For sentences.
      def count_text = "#{count} process#{"es" if count > 1}"

      # Opens the sockets and forks all processes. Raises Error.
      def assemble
        @addresses.open
        remark = Preload.remark
        Log.line(remark) if remark
        @places = Places.new(2 * ProcessesType::MOST) # each, and one that replaces it
        Preload.settle_memory
        show_count
        # That of another program answers until this one is ready.
        fork_control unless Launch.of_this_process.predecessor
        count.times { |number| start_member(number) }
      end

      # Whether every process is ready.
      def complete? = @children.count(&:ready?) >= count

      # To be called once they are.
      def show_complete
        @was_complete = true
        @addresses.create_pid_file if Launch.of_this_process.predecessor
        fork_control if desk && !desk.child
        show_phase
      end

      # Whether every process has ended, except the one for operators, which then is to leave.
      def empty? = @children.empty?

      # IOs that become readable when there is something to #follow.
      def reports = all.filter_map(&:io)

      # Of the server and the control plane.
      def sockets = @addresses.sockets

      # When #follow must be called at the latest; nil: when something happens.
      def next_at
        limits = all.filter_map { |child| @limits.next_check(child) }
        later = [*@addresses.next_look, *@replacements.next_at, *@turnover.next_at] unless @dismissed
        [*limits, *later].reject { |time| time == Float::INFINITY }.min
      end

      # As process 1 of a container, the master becomes the parent of what others have started and not waited for. The system keeps
      # such a process when it has ended, until its parent waits.
      def reap_adopted
        while (pid, status = Process.wait2(-1, Process::WNOHANG))
          all.find { |child| child.pid == pid }&.status = status
        end
      rescue Errno::ECHILD
        nil # no process is left
      end

      # Acts on what has happened to the processes. Yields what operators want, "reload" or "stop". Raises Error if they cannot be
      # started.
      def follow
        all.each do |child|
          became_ready(child) if child.io && child.hear
          child.take_words.each { |word| word == Child::DUE ? recycle(child) : yield(word) }
          @limits.check(child)
          status = child.reap
          ended(child, status) if status
        end
        return if @dismissed

        @addresses.look
        @replacements.due(Child.now).each { |number| number == ControlDesk::NUMBER ? fork_control : start_member(number) }
        @turnover.follow
      end

      def order(word)
        @children.each { |child| child.order(word) }
      end

      # Adds a process. Returns its number, or nil if there are as many as there may be.
      def grow
        return if count == ProcessesType::MOST

        @count += 1
        show_count
        show_phase
        start_member(count - 1)
        count - 1
      end

      # Asks the process that was added last to end. Returns it, as a list that has its replacement, too; nil if it is the only one.
      def shrink
        return if count == 1

        @count -= 1
        show_count
        show_phase
        @replacements.cancel(count)
        @turnover.drop(count)
        gone = @children.select { |child| child.number == count && !@removed.include?(child) }
        @removed.concat(gone)
        gone.each { |child| ask_to_leave(child) unless child.leaving? }
      end

      # Begins, unless processes are being started, or replaced for another restart.
      def restart_in_phases = complete? && @turnover.restart(@children.select(&:ready?))

      # Another program serves the addresses now, and answers operators.
      def leave_addresses
        @addresses.leave
        desk&.leave(Child.now + DESK_SECONDS)
      end

      # Asks all processes to end, with "stop" or "leave", in +delay+ seconds. Connections are refused as soon as none accepts them.
      def dismiss(word, delay)
        @dismissed = true
        show_phase
        @addresses.close_sockets
        @children.each { |child| child.leave(word, @limits.end_at(delay)) }
      end

      # In a trap, too.
      def kill_all
        all.each(&:kill)
        desk&.remove_directory
      end

      # Asks the process for operators to end, when the others have. Returns whether it has ended.
      def close_desk
        child = desk&.child or return true
        desk.leave(Child.now + DESK_SECONDS) unless child.leaving?
        false
      end

      def remove_files = @addresses.remove_files

      private

      def desk = @addresses.desk

      def all = [*@children, *desk&.child]

      def ask_to_leave(child) = child.leave("leave", @limits.end_at)

      def recycle(child)
        @turnover.due(child) if child.ready? && !@dismissed
      end

      # If the system has no room for another process now, it is tried again.
      def start_member(number)
        fork_member(number)
      rescue SystemCallError => e
        not_forked(number, "process #{number + 1}", e)
      end

      def fork_member(number)
        @server.run_hook(:before_fork, number)
        place = @places.take
        child = Child.new(number, all, @limits.start) do |ends|
          begin_process("process #{number + 1}")
          desk&.close
          part = Part.new(number: number, place: place, addresses: @addresses.to_serve, ends: ends, control_path: desk&.path(Process.pid))
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
        desk&.start(all) do
          begin_process("control process")
          @addresses.close_sockets
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

      def show_count = Process.setproctitle("kino master of #{count_text} (#{@server.urls.join(", ")})")

      def show_phase
        desk&.show(@dismissed ? "draining" : @was_complete ? "serving" : "starting", Facts.new(count, @replaced, @turnover.recycled))
      end

      def became_ready(child)
        Log.line("#{child.name} is ready") if @was_complete && child.serves? && !@turnover.recycles?(child)
        @turnover.ready(child)
      end

      def ended(child, status)
        desk.ended unless child.serves?
        @children.delete(child)
        @places.give_back(child.place) if child.place
        child.forget
        return if @dismissed || @removed.delete(child)
        return show_phase if @turnover.ended(child)

        @replaced += 1
        show_phase
        delay = @replacements.ended(child.number, child.age, Child.now)
        Log.line("#{child.name} ended with #{ExitText.of(status)}#{" before it was ready" if child.starting?}; it is replaced" \
                 "#{" in #{delay.round(1)} s" if delay.positive?}")
        give_up(child.name) if !@was_complete && @replacements.quick_ends(child.number) >= MOST_ATTEMPTS
      end

      def give_up(name)
        raise Error, "#{name} has ended #{MOST_ATTEMPTS} times in a row right after its start, so the app cannot be served; " \
                     "the log says why"
      end
    end
  end
end
