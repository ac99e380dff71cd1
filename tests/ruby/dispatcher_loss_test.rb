# frozen_string_literal: true

require_relative "support/dispatching"

# Workers that die in any way: their requests are abandoned immediately, and their slots are freed.
class DispatcherLossTest < DispatcherTest
  Crash = Class.new(StandardError)

  # The Answer keeps a reference to the request, so only the clean-up of its worker can end it.
  { "raises" => "raise 'broken'", "raises beyond StandardError" => "raise NoMemoryError, 'broken'",
    "is killed" => "Thread.current.kill", "throws" => "throw :out" }.each do |how, source|
    test_with_workers "a worker that #{how} abandons its requests" do |kind|
      make
      public_send(kind, 1, source)
      assert_equal :abandoned, @dispatcher.submit_and_keep(1).wait
      await { occupied.zero? }
    end
  end

  def test_a_handler_may_call_ruby_without_protect
    { "raise IOError" => IOError, "throw :out, 7" => 7, "Thread.current.kill" => nil, "'text'" => TypeError,
      "raise NoMemoryError" => NoMemoryError }.each do |source, expected|
      make
      block = eval("-> { #{source} }")
      thread = Thread.new do
        catch(:out) { @dispatcher.serve_unprotected { block.call } }
      rescue IOError, TypeError, NoMemoryError => e
        e.class
      end
      assert_equal :abandoned, @dispatcher.submit_and_keep(1).wait
      assert_equal [expected], [thread.value]
      await { occupied.zero? }
    end
  end

  # A program that starts workers itself may forget `leave`; the client must not wait forever.
  def test_the_requests_of_a_thread_that_ends_without_leave_are_abandoned
    make(slots: 2)
    answer = nil
    Thread.new do
      worker = @dispatcher.join
      answer = @dispatcher.submit_and_keep(1)
      worker.take
    end.join
    assert_equal :abandoned, answer.wait
    await { occupied.zero? }
  end

  def test_the_requests_of_a_ractor_that_ends_without_leave_are_abandoned
    make(slots: 2)
    answer = @dispatcher.submit_and_keep(1)
    await_end(Ractor.new(@dispatcher) { |dispatcher| dispatcher.join.take })
    assert_equal :abandoned, answer.wait
    await { occupied.zero? }
  end

  def test_a_thread_cannot_join_twice_and_only_the_joined_thread_can_leave
    make
    error = assert_raises(ThreadError) do
      first = @dispatcher.join
      begin
        @dispatcher.join
      ensure
        first.leave
        first.leave
      end
    end
    assert_match(/has already joined this dispatcher/, error.message)
    again = @dispatcher.join
    assert_equal 1, occupied
    Thread.new { again.leave }.join # not the thread that joined
    assert_equal 1, occupied
    again.leave
    assert_equal 0, occupied
  end

  def test_a_break_out_of_serve_abandons_the_request_and_leaves
    make
    thread = Thread.new { @dispatcher.serve { |n| break n + 1 } }
    assert_equal :abandoned, @dispatcher.submit_and_keep(1).wait
    assert_equal 2, thread.value
    await { occupied.zero? }
  end

  def test_a_throw_out_of_serve_abandons_the_request
    make
    thread = Thread.new { catch(:out) { @dispatcher.serve { throw :out, 7 } } }
    assert_equal :abandoned, @dispatcher.submit_and_keep(1).wait
    assert_equal 7, thread.value
  end

  # One of the threads runs a handler, the other waits.
  def test_interrupting_a_worker_s_thread_abandons_its_request_and_frees_its_slot
    [->(thread) { thread.kill }, ->(thread) { thread.raise(Crash) }].each do |interrupt|
      make
      inside = gate(2)
      start(2) { @threads << Thread.new { @dispatcher.serve { inside.meet } } }
      await { @dispatcher.parked == 2 }
      answer = @dispatcher.submit_and_keep(1)
      await { inside.arrived == 1 }
      @threads.each(&interrupt)
      assert_equal :abandoned, answer.wait
      await { occupied.zero? }
      @threads.each { |thread| assert_raises(Crash) { thread.value } if thread.status.nil? }
      @threads.clear
    end
  end

  def test_the_requests_of_a_ractor_that_ends_while_its_thread_serves_are_abandoned
    make
    inside = gate(2)
    ractor = Ractor.new(@dispatcher, inside) do |dispatcher, meeting|
      Thread.new { dispatcher.serve { meeting.meet } }
      Thread.pass until meeting.arrived == 1
    end
    answer = @dispatcher.submit_and_keep(1)
    assert_equal :abandoned, answer.wait
    await_end(ractor)
    await { occupied.zero? }
  end

  def test_a_worker_continues_after_a_supervisor_has_abandoned_its_request
    make(slots: 1)
    inside = gate(2)
    threads(1, "n == 1 ? a.meet : nil; n", inside)
    answer = @dispatcher.submit_and_keep(1)
    await { inside.arrived == 1 }
    assert_equal 1, @dispatcher.abandon(0, 1)
    assert_equal 0, @dispatcher.abandon(0, 1)
    assert_equal :abandoned, answer.wait
    inside.meet
    assert_equal 2, @dispatcher.submit(2).wait
  end

  def test_abandon_and_quarantine_do_not_affect_the_successor_of_a_worker
    make(slots: 1)
    worker = @dispatcher.join
    first = worker.id
    worker.leave
    second = @dispatcher.join
    assert_equal [[0, 1], [0, 2]], [first, second.id]
    answer = @dispatcher.submit(1)
    assert_equal 1, second.take
    assert_equal 0, @dispatcher.abandon(*first)
    refute @dispatcher.quarantine(*first)
    assert_equal 0, @dispatcher.abandon(7, 1)
    refute answer.ready?
    assert @dispatcher.quarantine(*second.id)
    assert_equal 1, @dispatcher.abandon(*second.id)
    assert_equal :abandoned, answer.wait
    second.leave
  end

  def test_close_without_workers_abandons_queued_requests
    make
    answers = Array.new(5) { |n| @dispatcher.submit(n) }
    @dispatcher.close
    assert_equal [:abandoned] * 5, answers.map(&:wait)
    assert_equal [0, :closed], [@dispatcher.queued, @dispatcher.submit(1)]
    assert_nil @dispatcher.serve { flunk }
  end

  def test_queued_requests_are_abandoned_when_the_last_worker_of_a_closed_dispatcher_leaves
    make
    joined = Queue.new
    may_leave = Queue.new
    other = Thread.new do
      worker = @dispatcher.join
      joined << true
      may_leave.pop
      worker.leave
    end
    joined.pop
    worker = @dispatcher.join
    answers = Array.new(5) { |n| @dispatcher.submit(n) }
    assert_equal 0, worker.take
    @dispatcher.close
    worker.leave
    assert_equal [:abandoned, false], [answers[0].wait, answers[1].ready?]
    may_leave << true
    other.join
    assert_equal [:abandoned] * 4, answers.drop(1).map(&:wait)
  end

  def test_close_can_discard_queued_requests
    make
    worker = @dispatcher.join
    answers = Array.new(5) { |n| @dispatcher.submit(n) }
    assert_equal 0, worker.take
    answers[4].drop
    assert_equal 3, @dispatcher.close_and_discard, "all but the one taken and the one dropped"
    assert_equal [:abandoned] * 3, answers[1, 3].map(&:wait)
    assert_equal [0, :closed], [@dispatcher.close_and_discard, @dispatcher.submit(6)]
    assert worker.answer(10)
    assert_nil worker.take
    worker.leave
    assert_equal 10, answers[0].wait
  end

  def test_without_workers_requests_wait_or_are_refused_depending_on_the_option
    make(refuse: true)
    first = @dispatcher.submit(1)
    worker = @dispatcher.join
    assert_equal 1, worker.take
    second = @dispatcher.submit(2)
    worker.leave
    assert_equal [:abandoned, :abandoned], [first.wait, second.wait]
    assert_equal [:no_workers] * 2, Array.new(2) { @dispatcher.submit(3) }
    assert_equal [0, 0, 9], @dispatcher.submit_many(9, 3).wait
    threads(1, "2 * n")
    assert_equal 8, @dispatcher.submit(4).wait

    make
    @dispatcher.join.leave
    waiting = @dispatcher.submit(5)
    threads(1, "2 * n")
    assert_equal 10, waiting.wait
    @threads.each(&:kill)
  end

  # Workers join, leave and die while native threads submit requests and the dispatcher closes.
  def test_every_request_is_answered_or_abandoned
    random = Random.new(5)
    times(300).times do |round|
      make(capacity: 4, slots: 8, refuse: round.odd?)
      asked = nil
      worker = -> { @threads << Thread.new { @dispatcher.serve { |n| random.rand(20).zero? ? break : 2 * n } } }
      [-> { asked = @dispatcher.submit_many(100, 2) }, worker, worker].shuffle(random: random).each(&:call)
      random.rand(100).times { Thread.pass }
      (round % 3).zero? ? @dispatcher.close_and_discard : @dispatcher.close
      right, wrong, abandoned = asked.wait
      assert_equal [0, 100], [wrong, right + abandoned]
      @threads.each(&:join).clear
    end
  end

  def test_the_slots_of_dead_workers_are_reused
    make(slots: 2)
    times(200).times do |i|
      thread = Thread.new { @dispatcher.serve { raise Crash } }
      assert_equal :abandoned, @dispatcher.submit_and_keep(i).wait
      assert_raises(Crash) { thread.value }
    end
    assert_equal [[false, 0, 0, times(200)], [false, 0, 0, 0]], @dispatcher.slots
    assert_equal [0, 0], [@dispatcher.running, @dispatcher.parked]
    threads(2, "n")
    assert_equal (0...50).to_a, Array.new(50) { |n| @dispatcher.submit(n) }.map(&:wait)
  end

  # Workers are killed and replaced while thousands of requests are in flight: each is answered correctly or abandoned.
  # Queued requests are never lost: only the request of a dying worker is abandoned.
  def test_many_killed_threads_lose_only_their_own_requests
    [1, 2].each do |concurrency|
      make(capacity: 64, slots: 6, concurrency: concurrency)
      work = -> { @dispatcher.serve { |n| (n % 7).zero? ? sleep(0) && 2 * n : 2 * n } }
      start(4) { @threads << Thread.new(&work) }
      count = times(2000)
      random = Random.new(concurrency)
      kills = sum = lost = 0
      until kills >= times(300)
        flood = @dispatcher.submit_many(count, 3)
        waiter = Thread.new { flood.wait }
        while waiter.alive?
          index = random.rand(4)
          @threads[index].kill.join
          kills += 1
          @threads[index] = Thread.new(&work)
          random.rand(50).times { Thread.pass }
        end
        right, wrong, abandoned = waiter.value
        assert_equal [count, 0], [right + abandoned, wrong]
        lost += abandoned
        sum += count
      end
      assert_operator lost, :<=, kills
      await { @dispatcher.parked == 4 }
      assert_equal [0, sum - lost], [@dispatcher.running, @dispatcher.slots.sum { |_, _, served,| served }]
      @dispatcher.close
      @threads.each(&:join).clear
    end
  end

  # The same with Ractors that raise, one after the other, while another worker keeps serving.
  def test_many_dying_ractors_lose_only_their_own_requests
    make(capacity: 64, slots: 4, concurrency: 2)
    count = times(4000)
    keeper = Thread.new do
      died = 0
      loop do
        ractor = Ractor.new(@dispatcher) do |dispatcher|
          dispatcher.serve { |n| n % 50 == 7 ? raise("broken") : 2 * n }
        end
        result_of(ractor)
        break died
      rescue Ractor::RemoteError
        died += 1
      end
    end
    await { occupied == 1 }
    threads(1, "2 * n")
    right, wrong, abandoned = @dispatcher.submit_many(count, 2).wait
    @dispatcher.close
    assert_equal [count, 0, abandoned], [right + abandoned, wrong, keeper.value]
  end

  # Threads and Ractors join, may take a request, and end without `leave`.
  def test_many_workers_that_never_leave_lose_only_their_own_requests
    make(capacity: 64, slots: 8)
    random = Random.new(7)
    count = times(1000)
    flood = @dispatcher.submit_many(count, 2)
    taken = Array.new(times(100)) do
      takes = random.rand(2)
      if random.rand(2).zero?
        Thread.new { @dispatcher.join.then { |worker| takes.times { worker.take } } }.join
      else
        await_end(Ractor.new(@dispatcher, takes) { |dispatcher, n| dispatcher.join.then { |worker| n.times { worker.take } } })
      end
      takes
    end
    await { occupied.zero? }
    threads(1, "2 * n")
    assert_equal [count - taken.sum, 0, taken.sum], flood.wait
  end
end
