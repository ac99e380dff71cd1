# frozen_string_literal: true

module WorkPool
  # Workers in child processes. The parent hands out inputs by index, because a child has all of them, and receives
  # results through Marshal.
  class Forks
    Child = Struct.new(:pid, :orders, :answers, :index)

    # The message from the parent that no input is left.
    NOTHING_LEFT = -1

    # The reason why processes cannot be used, or nil.
    def self.hindrance
      if !Process.respond_to?(:fork)
        "this platform cannot fork"
      elsif !Ractors.gone?
        "other Ractors are running (#{Ractor.count - 1}), and a process that this Ruby forks beside them can hang"
      end
    end

    def initialize(run, job)
      @run = run
      @job = job
      @children = []
    end

    # Processes the inputs from `first` on.
    def call(first)
      @next = first
      [@run.workers, @run.inputs.size - first].min.times { give(start) }
      until @children.empty?
        answering, = IO.select(@children.map(&:answers))
        @children.select { |child| answering.include?(child.answers) }.each { |child| hear(child) }
      end
    ensure
      @children.each { |child| Process.kill(:KILL, child.pid) }
      @children.dup.each { |child| bury(child) }
    end

    private

    def start
      orders, my_orders = IO.pipe(binmode: true)
      my_answers, answers = IO.pipe(binmode: true)
      pid = Process.fork do
        # A child must not keep the pipe ends of its siblings open.
        @children.each { |brother| [brother.orders, brother.answers].each(&:close) }
        [my_orders, my_answers].each(&:close)
        work(orders, answers)
      end
      [orders, answers].each(&:close)
      @children << (child = Child.new(pid, my_orders, my_answers))
      child
    end

    # Runs in the child. Signals have their default effect, and the parent's at_exit handlers do not run.
    def work(orders, answers)
      %w[INT TERM].each { |signal| trap(signal, "DEFAULT") }
      session = @job.session
      while (index = orders.read(8)&.unpack1("q")) && index != NOTHING_LEFT
        answers << portable(@job.run(session, @run.inputs[index], Job::EVERYTHING))
      end
      answers << portable(@job.state(session))
      [$stdout, $stderr].each(&:flush)
    rescue Exception => e # not the block's: the session's
      answers << Marshal.dump([:unfit, Failure.of(e)])
    ensure
      Process.exit!(true)
    end

    def portable(value)
      Marshal.dump([:value, value])
    rescue TypeError => e
      Marshal.dump([:value, Failure.of(e)])
    end

    # Sends the child its next input, or tells it to finish.
    def give(child)
      child.index = @next < @run.inputs.size ? @next : NOTHING_LEFT
      @next += 1 unless child.index == NOTHING_LEFT
      child.orders << [child.index].pack("q")
      child.orders.flush
    rescue Errno::EPIPE
      nil # the child has died: the next read says so
    end

    def hear(child)
      kind, answer = Marshal.load(child.answers)
    rescue EOFError, ArgumentError
      lost(child)
    else
      raise Unfit, "WorkPool cannot use fork:\n#{answer} (#{answer.backtrace&.first})" if kind == :unfit

      if child.index == NOTHING_LEFT
        bury(child)
        @run.store_state(answer)
      else
        @run.store(child.index, answer)
        give(child)
        @run.done
      end
    end

    # A child that died loses its input; the others do the rest.
    def lost(child)
      status = bury(child)
      return if child.index == NOTHING_LEFT

      @run.store(child.index, Failure.new("WorkPool::WorkerLost", "its worker ended: #{status}", []))
      give(start) if @next < @run.inputs.size
      @run.done
    end

    def bury(child)
      @children.delete(child)
      [child.orders, child.answers].each(&:close)
      Process.wait2(child.pid).last.to_s.sub(/\Apid \d+ /, "")
    end
  end
end
