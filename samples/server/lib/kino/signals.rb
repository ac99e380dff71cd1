# frozen_string_literal: true

module Kino
  # The signals of a server that owns its process, turned into wishes that #next hands out. A trap only
  # pushes on a Queue, which is the one thing that is safe there.
  class Signals
    WISHES = { "INT" => :stop, "TERM" => :stop, "USR1" => :stats }.freeze

    def initialize
      @wishes = Thread::Queue.new
      @previous = {}
      @asked = false
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

    private

    def arrived(wish)
      if wish == :stop && @asked
        warn_of_force
        # exit! because at_exit handlers and stuck workers are what the second signal is against.
        Process.exit!(1)
      end
      @asked = true if wish == :stop
      @wishes.push(wish)
    end

    def warn_of_force
      $stderr.write("kino: second signal, ending at once\n")
    rescue StandardError
      nil
    end
  end
end
