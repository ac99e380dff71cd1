# frozen_string_literal: true

require_relative "log"

module Kino
  # Converts the signals of a server that owns its process into events that #next returns. A trap only
  # pushes to Queues, because little else is safe there.
  class Signals
    # Other signals raise in the main Thread, as usual in Ruby, and Server#run cleans up.
    ACTIONS = { "INT" => :stop, "TERM" => :stop, "QUIT" => :stop, "HUP" => :reopen, "USR1" => :stats, "USR2" => :restart }.freeze
    # A signal repeated within this time counts once: a terminal and timeout(1) signal the whole process group, and a
    # parent process may forward the signal as well.
    REPEAT_SECONDS = 0.25
    FLUSH_SECONDS = 0.25

    # +by_signal+: an event for each signal; +forced+: whether the second signal that requests the end ends the process at once.
    # The block is called in the trap of the first one.
    def initialize(by_signal = ACTIONS, forced: true, &on_stop)
      @by_signal = by_signal
      @forced = forced
      @actions = Thread::Queue.new
      @previous = {}
      @stopping = false
      @on_stop = on_stop
      @last_name = @last_time = nil
    end

    # HUP means a closed terminal if the log goes to one, otherwise log rotation.
    def trap
      actions = $stderr.tty? ? @by_signal.merge("HUP" => :stop) : @by_signal
      actions.each do |name, action|
        @previous[name] = Signal.trap(name) { arrived(name, action) }
      end
    end

    def restore
      @previous.each { |name, handler| Signal.trap(name, handler || "DEFAULT") }
      @previous.clear
    end

    # To be called in a forked process, which will trap signals itself. Until then, signals do nothing: one that is sent to all
    # processes, such as HUP, must not end a process that has just started.
    def forget
      @previous.each { |name, handler| name == "CHLD" ? Signal.trap(name, handler || "DEFAULT") : Signal.trap(name) { nil } }
      @previous.clear
      [@reader, @writer].each { |io| io&.close }
    end

    # Waits for the next event; interruptible, because Ruby runs autoloads of other Ractors on this Thread.
    def next
      @actions.pop
    end

    # The next event, or nil if there is none.
    def next_nonblock
      @actions.pop(true)
    rescue ThreadError
      nil
    end

    # An IO that becomes readable with an event, for a process that waits for other things as well; to be called before #trap.
    def io
      @reader, @writer = IO.pipe unless @reader
      @reader
    end

    # Lets #io wait for the next event.
    def drain_io
      nil while @reader.read_nonblock(64, exception: false).is_a?(String)
    end

    # Called in the trap of the second signal, before the process ends.
    attr_writer :on_force

    # Whether the end has begun; a further signal that requests it then ends the process immediately.
    def stopping?
      @stopping
    end

    def stopping!
      @stopping = true
    end

    # As a signal does; may be called by any Thread.
    def push(action)
      @actions.push(action)
      @writer&.write_nonblock(".", exception: false)
    end

    private

    def arrived(name, action)
      if action == :stop
        return if repeated?(name)

        force if @stopping && @forced
        @stopping = true
        @on_stop&.call
      end
      push(action)
    end

    def repeated?(name)
      now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      previous, @last_name = @last_name, name
      since, @last_time = @last_time, now
      previous == name && now - since < REPEAT_SECONDS
    end

    def force
      @on_force&.call
      Log.line("second signal, exiting immediately")
      Log.flush(FLUSH_SECONDS)
      # exit!, because the second signal must skip at_exit handlers and stuck workers.
      Process.exit!(1)
    end
  end
end
