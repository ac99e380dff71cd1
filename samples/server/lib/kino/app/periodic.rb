# frozen_string_literal: true

module Kino
  # Calls a block again and again, on a Thread of its own: first when +seconds+ have passed.
  class Periodic
    def initialize(name, seconds, &block)
      @lock = Mutex.new
      @stopped = ConditionVariable.new
      @thread = Thread.new do
        block.call until @lock.synchronize { @stop || @stopped.wait(@lock, seconds) && @stop }
      end
      @thread.name = name
    end

    # Returns when the Thread has ended.
    def stop
      @lock.synchronize do
        @stop = true
        @stopped.signal
      end
      @thread.join
    end
  end
end
