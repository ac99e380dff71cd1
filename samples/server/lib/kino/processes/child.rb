# frozen_string_literal: true

module Kino
  module Processes
    # A process that the master has forked, as the master sees it: how far it is, and the pipes between the two.
    #
    # The process writes READY when it serves, and then lines: ALIVE as a sign of life, and DUE once it has served max_requests. The
    # master writes orders, one a line; the end of that pipe tells the process that the master has ended.
    class Child
      READY = "ready"
      ALIVE = "alive"
      DUE = "due"

      # What the new process has of the pipes.
      Ends = Struct.new(:orders, :report) do
        # Writes a word to the master. If the master has ended, does nothing: the end of the pipe of orders tells of that.
        def tell(word)
          report.write("#{word}\n")
        rescue Errno::EPIPE
          nil
        end
      end

      # Forks. The block runs in the new process with Ends, and its end is that of the process. +number+: from 0, or
      # ControlDesk::NUMBER. +siblings+: the Children of this master, whose pipes the new process must not keep open. +seconds+: the
      # time in which it must become ready.
      def initialize(number, siblings, seconds)
        @number = number
        @report, report = IO.pipe
        orders, @orders = IO.pipe
        @began = Child.now
        @start_by = @began + seconds
        @state = :starting
        @text = +""
        @words = []
        @silence = 0
        @pid = fork do
          [self, *siblings].each(&:forget)
          yield Ends.new(orders, report)
        end
      ensure
        report&.close
        orders&.close
      end

      attr_reader :number, :pid

      # For sentences.
      def name = serves? ? "process #{@number + 1} (pid #{@pid})" : "the control process (pid #{@pid})"

      # Whether it answers requests of the app.
      def serves? = @number.is_a?(Integer)

      # Its place in the Places, if it serves.
      attr_accessor :place

      # When it is to be ready; Infinity once it has been killed.
      attr_reader :start_by

      def self.now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

      def starting? = @state == :starting
      def ready? = @state == :ready
      def leaving? = @state == :leaving
      def age = Child.now - @began

      # Readable when it reports something, or has ended; nil later.
      def io = (@report unless @report.closed?)

      # Reads its report. Returns whether it has become ready.
      def hear
        text = @report.read_nonblock(4096, exception: false)
        return false if text == :wait_readable
        return @report.close && false unless text

        @silence = 0
        lines = (@text << text).slice!(/.*\n/m).to_s.split("\n")
        became = starting? && lines.include?(READY)
        @state = :ready if became
        @words.concat(lines - [READY, ALIVE])
        became
      end

      # Lines that #hear has read, except signs of life. None before it is ready: what it tells then can wait.
      def take_words
        return [] if starting?

        words, @words = @words, []
        words
      end

      # Whether it has given no sign of life for so many seconds. A long time between two calls counts as half of that: the master
      # was suspended, and so was the process, perhaps.
      def silent?(seconds, now)
        @silence += [now - @looked_at, seconds / 2].min if @looked_at
        @looked_at = now
        ready? && @silence >= seconds
      end

      # When #silent? is to be called next.
      def look_at(seconds) = (@looked_at || Child.now) + [seconds - @silence, seconds / 2].min

      # Sends an order. "stop": all processes stop, so none accepts connections afterwards. "leave": this process stops while others
      # serve, so it skips drain_delay. A kind of process may know further orders.
      def order(word)
        @orders.write_nonblock("#{word}\n")
      rescue SystemCallError
        nil # it has ended, or does not read its orders
      end

      # Asks it to end. +at+: when it is to be killed otherwise.
      def leave(word, kill_at)
        @state = :leaving
        @kill_at = kill_at
        order(word)
      end

      # When it is to be killed; nil: never.
      attr_reader :kill_at

      def kill
        @kill_at = nil
        @start_by = Float::INFINITY
        @silence = -Float::INFINITY
        Process.kill(:KILL, @pid)
      rescue Errno::ESRCH
        nil
      end

      # Its Process::Status if it has ended, else nil.
      def reap
        _, @status = Process.wait2(@pid, Process::WNOHANG) unless @status
        @status
      end

      # Sets its Process::Status, for a master that has reaped any of its children (Crew#reap_adopted).
      attr_writer :status

      # Closes this process's ends of the pipes.
      def forget
        [@report, @orders].each { |io| io.close unless io.closed? }
      end
    end
  end
end
