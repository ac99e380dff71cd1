# frozen_string_literal: true

require_relative "support/ruby_test"
require_relative "support/waiting"

# Each wait is ended by kill, raise, Timeout and signals, in threads of the main Ractor and of others.
class WaitsTest < RubyTest
  def teardown
    super
    assert_equal 0, Waits.alive, "a C++ object has outlived its frame"
  end

  Waiting::NAMES.each do |name|
    {
      kill: [:ensure], raise_in: ["raised", :ensure], raise_before: ["raised before", :ensure], time_out: [:timeout]
    }.each do |ending, expected|
      define_method("test_#{ending}_ends_#{name}_in_a_thread") do
        assert_equal expected, Waiting.public_send(ending, name)
      end

      define_method("test_#{ending}_ends_#{name}_in_a_ractor") do
        skip "this Ruby's Timeout does not work in a Ractor" if ending == :time_out && !timeout_in_ractors?
        ractor = Ractor.new(ending, name) { |how, what| Waiting.public_send(how, what) }
        assert_equal expected, result_of(ractor)
      end
    end

    define_method("test_a_trap_runs_while_the_main_thread_is_in_#{name}") do
      main = Thread.current
      trapped = Thread::Queue.new
      before = trap(:USR1) { trapped.push(1) }
      helper = Thread.new do
        await_waiting(main)
        Process.kill(:USR1, Process.pid)
        trapped.pop
        main.raise(Waiting::Ended, "after the trap") unless name == "without_gvl"
      end
      returned = begin
        Waiting.for_ever(name)
      rescue Waiting::Ended => e
        e.message
      end
      # Other native code ends when it is asked to stop; kino's waits continue after the trap.
      assert_equal name == "without_gvl" ? :unblocked : "after the trap", returned
      helper.join
    ensure
      trap(:USR1, before)
    end
  end

  def test_a_masked_interrupt_does_not_end_a_wait
    assert_equal [7, "raised"], Waiting.raise_masked
    assert_equal [7, "raised"], result_of(Ractor.new { Waiting.raise_masked })
  end

  def test_wakeup_alone_does_not_end_a_wait
    channel = Waits::Channel.make(1)
    waiting = Thread.new { channel.pop }
    await_waiting(waiting)
    times(200).times { waiting.wakeup }
    channel.push(5)
    assert_equal 5, waiting.value
  end

  def test_an_available_value_is_returned_immediately
    channel = Waits::Channel.make(2)
    assert_equal %i[pushed pushed], [channel.push(1), channel.push(2)]
    assert_equal [1, 2], [channel.pop, channel.pop_for(Waiting::HOUR)]
    answer = Waits::Answer.make
    assert answer.answer(9)
    refute answer.answer(10)
    assert_equal [9, 9], [answer.wait, answer.wait_for(Waiting::HOUR)]
  end

  def test_a_push_a_pop_and_an_answer_end_waits
    channel = Waits::Channel.make(1)
    popping = Thread.new { channel.pop }
    await_waiting(popping)
    channel.push(1)
    assert_equal 1, popping.value

    channel.push(2)
    pushing = Thread.new { channel.push(3) }
    await_waiting(pushing)
    assert_equal 2, channel.pop
    assert_equal [:pushed, 3], [pushing.value, channel.pop]

    answer = Waits::Answer.make
    asking = Thread.new { answer.wait }
    await_waiting(asking)
    answer.answer(4)
    assert_equal 4, asking.value
    assert_equal :abandoned, Waits::Answer.make.tap(&:abandon).wait
  end

  def test_a_notification_before_or_during_a_park_ends_it
    spot = Waits::Parker.make
    spot.notify
    spot.notify
    assert_equal %i[notified timed_out], [spot.park_for(Waiting::HOUR), spot.park_for(1)]
    parked = Thread.new { spot.park }
    await_waiting(parked)
    spot.notify
    assert_equal :notified, parked.value
  end

  def test_a_condition_ends_every_wait_for_it_in_threads_and_ractors
    level = shareable(Waits::Level.make)
    threads = [1, 1, 2].map { |number| Thread.new { level.await(number) } }.each { |thread| await_waiting(thread) }
    ractor = Ractor.new(level) { |awaited| awaited.await(1) }
    level.rise
    assert_equal [1, 1, 1], [*threads.first(2).map(&:value), result_of(ractor)]
    refute level.await_for(2, 1)
    level.rise
    assert_equal [2, true], [threads.last.value, level.await_for(2, 0)]
  end

  def test_a_predicate_that_raises_ends_its_wait
    error = assert_raises(IOError) { Waits::Level.make.await_raising }
    assert_equal "in the predicate", error.message
  end

  def test_try_without_gvl_reports_whether_the_work_ran
    trapped = 0
    before = trap(:USR1) { trapped += 1 }
    assert Waits.try_without_gvl(Signal.list["USR1"])
    assert_equal 1, trapped
  ensure
    trap(:USR1, before)
  end

  def test_ractors_exchange_values_in_order
    channel = shareable(Waits::Channel.make(4))
    producers = Array.new(2) do |first|
      Ractor.new(channel, first, times(2000)) do |to, start, count|
        Waits.pin
        count.times { |i| to.push(2 * i + start) }
      end
    end
    popped = Array.new(2 * times(2000)) { channel.pop }
    producers.each { |producer| await_end(producer) }
    assert_equal (0...2 * times(2000)).to_a, popped.sort
    assert_equal popped.select(&:even?), popped.select(&:even?).sort, "FIFO per producer"
  end

  def test_close_ends_all_waits
    channel = Waits::Channel.make(1)
    popping = Array.new(3) { Thread.new { channel.pop } }.each { |thread| await_waiting(thread) }
    channel.close
    assert_equal [:closed] * 3, popping.map(&:value)

    channel = Waiting.full
    pushing = Array.new(3) { Thread.new { channel.push(2) } }.each { |thread| await_waiting(thread) }
    channel.close
    assert_equal [:closed] * 3, pushing.map(&:value)
    assert_equal [1, :closed], [channel.pop, channel.pop]
  end

  def test_a_wait_with_a_timeout_returns_when_it_expires
    channel = Waits::Channel.make(1)
    assert_equal [:timed_out, :timed_out], [channel.pop_for(1), channel.pop_for(0)]
    assert_equal :timed_out, Waiting.full.push_for(2, 1)
    assert_nil Waits::Answer.make.wait_for(1)
    assert_equal :timed_out, Waits::Parker.make.park_for(1)
    assert Waits.sleep_for(1)
  end

  def test_a_timeout_beyond_the_range_of_the_clock_never_expires
    longest = (1 << 63) - 1
    [-> { Waits::Channel.make(1).pop_for(longest) }, -> { Waiting.full.push_for(2, longest) },
     -> { Waits::Answer.make.wait_for(longest) }, -> { Waits::Parker.make.park_for(longest) },
     -> { Waits.sleep_for(longest) }].each do |wait|
      assert_raises(Timeout::Error) { Timeout.timeout(0.02) { wait.call } }
    end
  end

  def test_an_exception_thrown_without_the_gvl_is_rethrown_with_it
    error = assert_raises(IndexError) { Waits.throw_without_gvl }
    assert_equal "thrown without the lock", error.message
  end

  def test_a_wait_that_runs_out_of_memory_raises
    assert_raises(NoMemoryError) { Waits.throw_in_wait }
  end

  def test_waits_on_inherited_objects_raise_in_a_forked_child
    skip "this platform cannot fork" unless Process.respond_to?(:fork)
    channel = Waits::Channel.make(1)
    channel.push(1)
    answer = Waits::Answer.make
    {
      channel: [-> { channel.push(2) }, -> { channel.push_for(2, Waiting::HOUR) }, -> { channel.pop },
                -> { channel.pop_for(Waiting::HOUR) }, -> { channel.try_pop }],
      receiver: [-> { answer.wait }, -> { answer.wait_for(Waiting::HOUR) }]
    }.each do |kind, waits|
      waits.each do |wait|
        reader, writer = IO.pipe
        child = fork do
          wait.call
        rescue RuntimeError => e
          writer.write(e.message)
        ensure
          exit!
        end
        writer.close
        assert_equal "kino: this #{kind} was made before fork; make one in the child", reader.read
        Process.wait(child)
      end
    end
    assert_equal 1, channel.pop
  end

  private

  def timeout_in_ractors?
    result_of(Ractor.new { Waiting.timeout_works? })
  rescue Ractor::RemoteError
    false
  end
end
