# frozen_string_literal: true

require_relative "exit_text"
require_relative "launch"

module Kino
  # The process that replaces this one without downtime: the same program, started again with the listening sockets of this
  # one. Both accept connections until this one stops.
  class Successor
    CANCEL_SECONDS = 3

    attr_reader :pid

    # Starts it with +sockets+, IOs. Raises SystemCallError if it cannot be started.
    def initialize(launch, sockets)
      @reader, writer = IO.pipe
      @pid = launch.again({ Launch::REPLACES => Launch.replacing(writer, sockets), Launch::OWNS_SOCKETS => ("1" if launch.owns_sockets?) },
                          [writer, *sockets])
    rescue SystemCallError
      @reader.close
      raise
    ensure
      writer&.close
    end

    # May be readable when #outcome changes; the end of the process changes it, too. Nil once nothing more is to be read.
    def io = (@reader unless @reader.closed?)

    # :ready, :ended, or nil if it is still being started. Does not wait. The end of the pipe
    # is not the end of the process: it may close the pipe itself, and its children may keep the pipe open when it has ended.
    def outcome
      return ready if told_ready?

      _, @status = Process.wait2(@pid, Process::WNOHANG)
      :ended if @status
    end

    # Waits for an outcome, on a Thread of the caller's.
    def await
      outcomes = Thread::Queue.new
      reading = Thread.new { outcomes << :ready if @reader.read(Launch::READY.bytesize) == Launch::READY }
      Thread.new { outcomes << :ended if (@status = Process.wait2(@pid).last) }
      outcomes.pop == :ready ? ready : :ended
    ensure
      reading&.kill&.join
      @reader.close
    end

    # How it ended.
    def ending = ExitText.of(@status)

    # Asks it to end. The app may ignore the signal while it is loaded, and Ruby may lose one that arrives while Ruby itself starts;
    # a process that becomes ready nevertheless is asked again.
    def cancel
      @cancelled = true
      signal("TERM")
    end

    # Kills it if it has neither become ready nor ended within CANCEL_SECONDS.
    def end_cancelled
      signal(IO.select([@reader], nil, nil, CANCEL_SECONDS) ? "TERM" : "KILL") unless @status
    rescue IOError
      nil # #await has seen what became of it.
    end

    private

    def ready
      signal("TERM") if @cancelled
      :ready
    end

    def signal(name)
      Process.kill(name, @pid)
    rescue SystemCallError
      nil
    end

    def told_ready?
      return false if @reader.closed?

      text = @reader.read_nonblock(Launch::READY.bytesize, exception: false)
      @reader.close unless text == :wait_readable
      Process.detach(@pid) if text == Launch::READY
      text == Launch::READY
    end
  end
end
