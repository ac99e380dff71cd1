# frozen_string_literal: true

module WorkPool
  # Workers in child processes. The parent hands out inputs by index, because a child has all of them, and receives
  # results through Marshal.
  class Forks
    Child = Struct.new(:pid, :requests, :responses, :index)

    # The message from the parent that no input is left.
    NOTHING_LEFT = -1

    # The reason why processes cannot be used, or nil.
    def self.obstacle
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
        readable, = IO.select(@children.map(&:responses))
        @children.select { |child| readable.include?(child.responses) }.each { |child| receive(child) }
      end
    ensure
      @children.each { |child| Process.kill(:KILL, child.pid) }
      @children.dup.each { |child| reap(child) }
    end

    private

    def start
      requests, my_requests = IO.pipe(binmode: true)
      my_responses, responses = IO.pipe(binmode: true)
      pid = Process.fork do
        # A child must not keep the pipe ends of its siblings open.
        @children.each { |sibling| [sibling.requests, sibling.responses].each(&:close) }
        [my_requests, my_responses].each(&:close)
        work(requests, responses)
      end
      [requests, responses].each(&:close)
      @children << (child = Child.new(pid, my_requests, my_responses))
      child
    end

    # Runs in the child. Signals have their default effect, and the parent's at_exit handlers do not run.
    def work(requests, responses)
      %w[INT TERM].each { |signal| trap(signal, "DEFAULT") }
      session = @job.session
      while (index = requests.read(8)&.unpack1("q")) && index != NOTHING_LEFT
        responses << portable(@job.run(session, @run.inputs[index], Job::EVERYTHING))
      end
      responses << portable(@job.state(session))
      [$stdout, $stderr].each(&:flush)
    rescue Exception => e # raised by the session, not by the block
      responses << Marshal.dump([:unfit, Failure.of(e)])
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
      child.requests << [child.index].pack("q")
      child.requests.flush
    rescue Errno::EPIPE
      nil # the child has died: the next read reports it
    end

    def receive(child)
      kind, value = Marshal.load(child.responses)
    rescue EOFError, ArgumentError
      replace(child)
    else
      raise Unfit, "WorkPool cannot use fork:\n#{value} (#{value.backtrace&.first})" if kind == :unfit

      if child.index == NOTHING_LEFT
        reap(child)
        @run.store_state(value)
      else
        @run.store(child.index, value)
        give(child)
        @run.done
      end
    end

    # The input of a child that died is lost; the others process the rest.
    def replace(child)
      status = reap(child)
      return if child.index == NOTHING_LEFT

      @run.store(child.index, Failure.new("WorkPool::WorkerLost", "its worker ended: #{status}", []))
      give(start) if @next < @run.inputs.size
      @run.done
    end

    def reap(child)
      @children.delete(child)
      [child.requests, child.responses].each(&:close)
      Process.wait2(child.pid).last.to_s.sub(/\Apid \d+ /, "")
    end
  end
end
