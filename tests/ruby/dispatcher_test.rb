# frozen_string_literal: true

require_relative "support/dispatching"
require "tmpdir"

# The workers of a dispatcher: taking and answering requests, sharing permits, leaving.
class DispatcherWorkersTest < DispatcherTest
  def test_the_features_of_this_ruby_are_detected
    expected = %w[rb_thread_lock_native_thread rb_internal_thread_specific_set INTERNAL_THREAD_EVENT_SUSPENDED]
    assert_equal(expected.map { |name| HEADER.include?(name) }, Dispatching.features)
  end

  test_with_workers "a request is answered" do |kind|
    make
    public_send(kind, 1, "n * n")
    assert_equal [4, 9], [@dispatcher.submit(2).wait, @dispatcher.submit(3).wait]
  end

  test_with_workers "more workers than permits answer everything exactly once" do |kind|
    make(capacity: 32, concurrency: 2)
    public_send(kind, 6, "2 * n")
    count = times(6000)
    assert_equal [count, 0, 0], @dispatcher.submit_many(count, 3).wait
    await { @dispatcher.slots.sum { |_, in_flight,| in_flight }.zero? }
    assert_equal count, @dispatcher.slots.sum { |_, _, served,| served }
  end

  test_with_workers "workers without permits answer everything exactly once" do |kind|
    make(capacity: 32, permits: false)
    public_send(kind, 4, "2 * n")
    refute @dispatcher.permits_in_use?
    count = times(4000)
    assert_equal [count, 0, 0], @dispatcher.submit_many(count, 2).wait
  end

  # Ruby itself switches threads every 100 ms, in the middle of a request: about once in each round here.
  def test_without_permits_threads_take_turns_between_requests
    make(slots: 2, permits: false, slice: 0)
    round = Struct.new(:gate, :turns).new
    threads(2, "n.zero? ? a.gate.meet : a.turns << Thread.current; n", round)
    changes = 0
    20.times do
      round.gate = gate(3)
      round.turns = []
      answers = Array.new(502) { |n| @dispatcher.submit(n < 2 ? 0 : 1) }
      await { round.gate.arrived == 2 }
      round.gate.meet
      answers.each(&:wait)
      changes += round.turns.each_cons(2).count { |one, other| one != other }
      break if changes >= 200
    end
    assert_operator changes, :>=, 200
  end

  # Otherwise the first one would keep the only permit and wait forever for the others.
  test_with_workers "a worker that blocks releases its permit" do |kind|
    make(concurrency: 1, slice: NO_SLICE)
    assert_equal THREAD_EVENTS, @dispatcher.permits_in_use?
    meeting = gate(5)
    public_send(kind, 5, "a.meet; n", meeting)
    answers = Array.new(5) { |n| @dispatcher.submit(n) }
    assert_equal [0, 1, 2, 3, 4], answers.map(&:wait)
  end

  test_with_workers "a worker that sleeps or waits for a Queue releases its permit" do |kind|
    make(concurrency: 1, slice: NO_SLICE)
    done = counter
    public_send(kind, 3, <<~RUBY, done)
      case n
      when 0 then Thread.new { Thread.pass until a.value == 2 }.join
      when 1 then Queue.new.then { |q| Thread.new { Thread.pass until a.value == 1; q.push(1) }; q.pop; a.add }
      when 2 then sleep(0.001) && a.add
      end
      n
    RUBY
    assert_equal [0, 1, 2], Array.new(3) { |n| @dispatcher.submit(n) }.map(&:wait)
  end

  # Otherwise the first one would keep the only permit and wait forever for the second.
  test_with_workers "a worker that computes for longer than its slice lets another one run" do |kind|
    make(concurrency: 1)
    flag = counter
    public_send(kind, 2, "n == 0 ? (nil until a.value == 1) : a.add; n", flag)
    long = @dispatcher.submit(0)
    await { @dispatcher.queued.zero? }
    assert_equal 1, @dispatcher.submit(1).wait
    assert_equal 0, long.wait
  end

  test_with_workers "no permit is lost or gained when handlers block" do |kind|
    make(concurrency: 1)
    meeting = gate(3)
    public_send(kind, 3, "n.zero? ? a.meet : nil; n", meeting)
    assert_equal [0] * 3, Array.new(3) { @dispatcher.submit(0) }.map(&:wait)
    assert_equal (1..times(500)).to_a, (1..times(500)).map { |n| @dispatcher.submit(n) }.map(&:wait)
    await { @dispatcher.parked == 3 }
    assert_equal 0, @dispatcher.running
  end

  test_with_workers "idle workers sleep until there is a request for them" do |kind|
    make
    public_send(kind, 4, "n")
    await { @dispatcher.parked == 4 }
    before = [@dispatcher.wake_count, @dispatcher.watcher_wake_count]
    other = Dispatching::Dispatcher.make(4, 1, 1, true, 10, false)
    times(1000).times do |i|
      other.submit(i)
      Thread.new { i }.join if (i % 50).zero?
      Ractor.new { 1 }.then { |ractor| result_of(ractor) } if (i % 250).zero?
    end
    assert_equal before, [@dispatcher.wake_count, @dispatcher.watcher_wake_count]
    assert_equal 1, @dispatcher.submit(1).wait
    assert_equal before.first + 1, @dispatcher.wake_count
  end

  test_with_workers "a closed dispatcher serves queued requests and refuses new ones" do |kind|
    make(concurrency: 1)
    go = gate(2)
    public_send(kind, 1, "n.zero? ? a.meet : nil; n", go)
    answers = Array.new(20) { |n| @dispatcher.submit(n) }
    await { go.arrived == 1 }
    @dispatcher.close
    assert_equal :closed, @dispatcher.submit(99)
    go.meet
    assert_equal (0...20).to_a, answers.map(&:wait)
    await { occupied.zero? }
  end

  test_with_workers "close wakes idle workers" do |kind|
    make
    public_send(kind, 4, "n")
    await { @dispatcher.parked == 4 }
    @dispatcher.close
    await { occupied.zero? }
  end

  def test_only_a_dispatcher_without_permits_may_have_a_slice_of_zero
    error = assert_raises(ArgumentError) { make(slice: 0) }
    assert_equal "kino: a dispatcher with permits needs a slice of at least 1 ms", error.message
    make(permits: false, slice: 0)
  end

  def test_submit_to_a_full_queue_returns_full
    make(capacity: 2)
    kept = Array.new(2) { |n| @dispatcher.submit(n) }
    assert_equal :full, @dispatcher.submit(2)
    threads(1, "n")
    assert_equal [0, 1], kept.map(&:wait)
  end

  test_with_workers "a request that expires in the queue never reaches a worker" do |kind|
    make
    go = gate(2)
    seen = counter
    public_send(kind, 1, "n.zero? ? a.meet : b.add; n", go, seen)
    first = @dispatcher.submit(0)
    await { go.arrived == 1 }
    expired = Array.new(5) { |n| @dispatcher.submit_and_keep(n + 1) }
    assert(expired.all?(&:expire))
    last = @dispatcher.submit(7)
    go.meet
    assert_equal [0, 7], [first.wait, last.wait]
    assert_equal [:expired] * 5, expired.map(&:wait)
    assert_equal [5, 1], [@dispatcher.dropped, seen.value]
  end

  def test_a_request_whose_receiver_was_dropped_never_reaches_a_worker
    make
    worker = @dispatcher.join
    answers = Array.new(5) { |n| @dispatcher.submit(n) }
    answers.values_at(0, 2, 3).each(&:drop)
    assert_equal [1, 4], [worker.take, worker.take]
    assert_equal 3, @dispatcher.dropped
    answers[4].drop
    refute worker.answer(4), "answer returns false if the receiver was dropped"
    worker.leave
    assert_equal :abandoned, answers[1].wait
  end

  def test_workers_of_a_closed_dispatcher_that_has_only_expired_requests_end
    make
    worker = @dispatcher.join
    assert @dispatcher.submit_and_keep(1).expire
    @dispatcher.close
    threads = Array.new(2) { Thread.new { @dispatcher.serve { flunk } } }
    assert_equal [nil, nil], threads.map(&:value)
    assert_nil worker.take
    worker.leave
    assert_equal 1, @dispatcher.dropped
  end

  def test_a_worker_can_take_and_answer_single_requests_and_batches
    make(slots: 2)
    worker = @dispatcher.join
    assert_equal 0, worker.index
    answers = Array.new(30) { |n| @dispatcher.submit(n) }
    assert_equal 0, worker.take
    assert worker.answer(10)
    refute worker.answer(11)
    assert_equal 1, worker.take
    assert_equal 2, worker.answer_and_take(20)
    assert_equal 3, worker.answer_and_take(30)
    assert worker.answer(40)
    assert_equal (4..8).to_a, worker.take_batch(5)
    assert_equal [true, 5, 4, 1], @dispatcher.slots[0]
    assert_equal 5, worker.answer_batch(50)
    assert_equal (9..24).to_a, worker.take_batch(1000), "at most batch_limit"
    assert_equal 16, worker.answer_batch(60)
    assert_equal (25..29).to_a, worker.take_batch(16)
    worker.leave
    assert_equal [10, 20, 30, 40] + [50] * 5 + [60] * 16 + [:abandoned] * 5, answers.map(&:wait)
    assert_equal [[false, 0, 25, 1], [false, 0, 0, 0]], @dispatcher.slots
  end

  def test_join_raises_if_no_slot_is_free
    make(slots: 1)
    worker = @dispatcher.join
    error = assert_raises(ThreadError) { Thread.new { @dispatcher.serve { flunk } }.value }
    assert_match(/all 1 worker slots are taken; choose more slots/, error.message)
    worker.leave
    again = @dispatcher.join
    assert_equal 0, again.index
    again.leave
    assert_equal [[false, 0, 0, 2]], @dispatcher.slots
  end

  # Immediately, not only when the next request replaces it.
  def test_a_request_that_the_handler_does_not_answer_is_abandoned
    make
    start(1) { @threads << Thread.new { @dispatcher.serve_some { nil } } }
    assert_equal :abandoned, @dispatcher.submit(1).wait
  end

  # The main Ractor loads the code for the handler's Ractor, while it waits for the answer.
  def test_a_handler_in_a_ractor_can_require_while_the_main_thread_waits
    skip "this Ruby cannot require in a Ractor" unless REQUIRE_IN_RACTORS
    make
    Dir.mktmpdir do |directory|
      File.write(File.join(directory, "loaded_late.rb"), "module LoadedLate\n  NUMBER = 42\nend\n")
      File.write(File.join(directory, "required_late.rb"), "module RequiredLate\n  NUMBER = 43\nend\n")
      Object.autoload(:LoadedLate, File.join(directory, "loaded_late.rb"))
      ractors(1, "n == 1 ? LoadedLate::NUMBER : (require a; RequiredLate::NUMBER)",
              File.join(directory, "required_late.rb").freeze)
      assert_equal [42, 43], [@dispatcher.submit(1).wait, @dispatcher.submit(2).wait]
    end
  end
end
