# frozen_string_literal: true

require_relative "log"

module Kino
  # The signals of a server that owns its process, turned into wishes that #next hands out. A trap only
  # pushes on Queues, which is the one thing that is safe there.
  class Signals
    # Other signals raise in the main Thread, as Ruby has it, and Server#run cleans up on the way.
    WISHES = { "INT" => :stop, "TERM" => :stop, "QUIT" => :stop, "HUP" => :reopen, "USR1" => :stats }.freeze
    FLUSH_SECONDS = 0.25

    # The block is called in the trap of the first signal that asks for the end.
    def initialize(&on_stop)
      @wishes = Thread::Queue.new
      @previous = {}
      @stopping = false
      @on_stop = on_stop
    end

    def trap
      WISHES.each do |name, wish|
        @previous[name] = Signal.trap(name) { arrived(wish) }
      end
    end

    def restore
      @previous.each { |name, handler| Signal.trap(name, handler || "DEFAULT") }
      @previous.clear
    end

    # Waits for the next wish; stays interruptible, as Ruby runs autoloads of other Ractors on this Thread.
    def next
      @wishes.pop
    end

    # Whether the end has begun; from then on a signal that asks for it ends the process at once.
    def stopping?
      @stopping
    end

    def stopping!
      @stopping = true
    end

    private

    def arrived(wish)
      force if wish == :stop && @stopping
      if wish == :stop
        @stopping = true
        @on_stop&.call
      end
      @wishes.push(wish)
    end

    def force
      Log.line("second signal, exiting immediately")
      Log.flush(FLUSH_SECONDS)
      # exit! because at_exit handlers and stuck workers are what the second signal is against.
      Process.exit!(1)
    end
  end
end
