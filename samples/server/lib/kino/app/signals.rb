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

    # The block is called in the trap of the first signal that requests the end.
    def initialize(&on_stop)
      @actions = Thread::Queue.new
      @previous = {}
      @stopping = false
      @on_stop = on_stop
      @last_name = @last_time = nil
    end

    # HUP means a closed terminal if the log goes to one, otherwise log rotation.
    def trap
      actions = $stderr.tty? ? ACTIONS.merge("HUP" => :stop) : ACTIONS
      actions.each do |name, action|
        @previous[name] = Signal.trap(name) { arrived(name, action) }
      end
    end

    def restore
      @previous.each { |name, handler| Signal.trap(name, handler || "DEFAULT") }
      @previous.clear
    end

    # Waits for the next event; interruptible, because Ruby runs autoloads of other Ractors on this Thread.
    def next
      @actions.pop
    end

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
    end

    private

    def arrived(name, action)
      if action == :stop
        return if repeated?(name)

        force if @stopping
        @stopping = true
        @on_stop&.call
      end
      @actions.push(action)
    end

    def repeated?(name)
      now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      previous, @last_name = @last_name, name
      since, @last_time = @last_time, now
      previous == name && now - since < REPEAT_SECONDS
    end

    def force
      Log.line("second signal, exiting immediately")
      Log.flush(FLUSH_SECONDS)
      # exit!, because the second signal must skip at_exit handlers and stuck workers.
      Process.exit!(1)
    end
  end
end
