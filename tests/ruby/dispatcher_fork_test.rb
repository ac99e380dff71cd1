# frozen_string_literal: true

require_relative "support/dispatching"

# Forked children of a process that has a dispatcher.
class DispatcherForkTest < DispatcherTest
  def setup
    skip "this platform cannot fork" unless Process.respond_to?(:fork)
    super
  end

  # Runs the block in a forked child, which ends normally; returns the block's result or exception as text.
  def forked
    reader, writer = IO.pipe
    child = fork do
      reader.close
      # Otherwise Minitest would run again at the end of the child.
      Minitest.class_variable_set(:@@after_run, [])
      Minitest.singleton_class.send(:define_method, :run) { |*| true }
      GC.stress = false
      writer.write(yield)
    rescue Exception => e
      writer.write("#{e.class}: #{e.message}")
    ensure
      writer.close
    end
    writer.close
    printed = reader.read
    _, status = Process.wait2(child)
    assert status.success?, "the child ended with #{status} after #{printed}"
    printed
  end

  test_with_workers "using the parent's dispatcher raises in a child" do |kind|
    make
    public_send(kind, 2, "n")
    await { @dispatcher.parked == 2 }
    expected = "RuntimeError: kino: this dispatcher was made before fork; make one in the child"
    assert_equal expected, forked { @dispatcher.join }
    assert_equal expected, forked { @dispatcher.serve { flunk } }
    assert_equal expected, forked { @dispatcher.submit(1) }
    assert_equal "closed", forked { @dispatcher.close || "closed" }
    assert_equal 1, @dispatcher.submit(1).wait
  end

  test_with_workers "a child can use its own dispatcher and ends normally" do |kind|
    skip "this Ruby's forked children crash with Ractors" if kind == :ractors && CRASHING_CHILDREN
    make
    public_send(kind, 2, "n")
    await { @dispatcher.parked == 2 }
    printed = forked do
      inherited = @ractors + @threads
      @ractors = []
      @threads = []
      make
      public_send(kind, 2, "n * 3")
      answers = Array.new(10) { |n| @dispatcher.submit(n) }.map(&:wait)
      @dispatcher.close
      @ractors.each { |ractor| await_end(ractor) }
      @threads.each(&:join)
      inherited.clear
      answers.inspect
    end
    assert_equal "[0, 3, 6, 9, 12, 15, 18, 21, 24, 27]", printed
    assert_equal 1, @dispatcher.submit(1).wait
  end

  # The inherited dispatcher can be freed, although threads of the parent sleep in it.
  test_with_workers "a child can collect its parent's dispatcher" do |kind|
    make
    public_send(kind, 2, "n")
    await { @dispatcher.parked == 2 }
    assert_equal "collected", forked {
      remove_instance_variable(:@dispatcher)
      @ractors = @threads = nil
      GC.start
      "collected"
    }
  end

  def test_a_worker_of_the_parent_raises_in_a_child
    make
    worker = @dispatcher.join
    answer = @dispatcher.submit(1) # a request whose answer is dropped never reaches the worker
    expected = "RuntimeError: kino: this dispatcher was made before fork; make one in the child"
    assert_equal expected, forked { worker.take }
    assert_equal expected, forked { worker.take_batch(2) }
    assert_equal expected, forked { worker.answer_and_take(2) }
    assert_equal "left", forked { worker.leave || "left" }
    assert_equal 1, worker.take
    refute answer.ready?
    worker.leave
  end

  def test_a_receiver_of_the_parent_raises_in_a_child
    make
    answer = @dispatcher.submit(1)
    assert_equal "RuntimeError: kino: this receiver was made before fork; make one in the child",
                 forked { answer.wait }
    threads(1, "n")
    assert_equal 1, answer.wait
    assert_equal "1", forked { answer.wait.to_s }
  end

  # The forking thread is a worker. It keeps its permit in the parent and is not a worker in the child.
  def test_a_handler_can_fork
    make
    start(2) do
      @threads << Thread.new { @dispatcher.serve { |n| forked { 5.times { sleep(0) }; "child #{n}" }.size } }
    end
    assert_equal [7, 7, 7], Array.new(3) { |n| @dispatcher.submit(n) }.map(&:wait)
  end

  # The child's thread is still inside the parent's dispatcher when it blocks. It must not wait for anything there, because
  # a lock that another thread held at the fork stays locked. Before 4.0 (without Ractor::Port), this also applies to
  # Ruby's own lock, which a Ractor takes whenever its last thread blocks or wakes; there the busy workers are threads.
  def test_a_child_can_block_although_its_parent_forked_in_a_busy_dispatcher
    make(capacity: 256, concurrency: 1)
    go = gate(2)
    start(1) do
      @threads << Thread.new do
        @dispatcher.serve do |n|
          if n.negative?
            go.meet
            times(200).times { Process.wait(fork { 20.times { sleep(0) } && exit!(0) }) }
          end
          2 * n
        end
      end
    end
    forking = @dispatcher.submit(-1)
    await { go.arrived == 1 }
    Ractor.const_defined?(:Port) ? ractors(3, "2 * n") : threads(3, "2 * n")
    go.meet
    assert_equal [2000, 0, 0], @dispatcher.submit_many(2000, 2).wait until forking.ready?
    assert_equal(-2, forking.wait)
  end

  # A child that returns from the handler leaves `serve` with the same exception.
  def test_serve_raises_in_a_child_that_returns_from_the_handler
    make
    reader, writer = IO.pipe
    parent = Process.pid
    thread = Thread.new do
      @dispatcher.serve { |n| fork ? Process.wait && n : 0 }
    rescue RuntimeError => e
      writer.write(e.message)
    ensure
      exit!(0) if Process.pid != parent
    end
    assert_equal 3, @dispatcher.submit(3).wait
    @dispatcher.close
    thread.join
    writer.close
    assert_equal "kino: this dispatcher was made before fork; make one in the child", reader.read
  end
end
