# frozen_string_literal: true

require_relative "support/dispatching"

# Workers that a supervisor dismisses: they leave between two requests, and others take the rest.
class DispatcherDismissalTest < DispatcherTest
  def ids
    @dispatcher.slots.each_with_index.filter_map { |(occupied, _, _, workers), index| [index, workers] if occupied }
  end

  test_with_workers "a worker that waits leaves at once" do |kind|
    make
    public_send(kind, 3, "n")
    await { @dispatcher.parked == 3 }
    assert @dispatcher.dismiss(1, 1)
    await { occupied == 2 }
    assert_equal [[0, 1], [2, 1]], ids
    assert_equal (0...50).to_a, Array.new(50) { |n| @dispatcher.submit(n) }.map(&:wait)
  end

  test_with_workers "a worker that has a request answers it and leaves" do |kind|
    make(slots: 1)
    inside = gate(2)
    public_send(kind, 1, "a.meet if n == 1; n", inside)
    answers = Array.new(3) { |n| @dispatcher.submit(n + 1) }
    await { inside.arrived == 1 }
    assert @dispatcher.dismiss(0, 1)
    assert @dispatcher.dismiss(0, 1), "a second time is the same"
    inside.meet
    await { occupied.zero? }
    assert_equal [1, false, 2], [answers[0].wait, answers[1].ready?, @dispatcher.queued]
    public_send(kind, 1, "n")
    assert_equal [2, 3], answers.drop(1).map(&:wait)
  end

  def test_a_dismissal_does_not_affect_the_successor_of_a_worker
    make(slots: 1)
    first = @dispatcher.join
    id = first.id
    assert @dispatcher.dismiss(*id)
    assert_equal false, first.take
    assert_equal false, first.take
    first.leave
    refute @dispatcher.dismiss(*id)
    refute @dispatcher.dismiss(7, 1)
    second = @dispatcher.join
    refute @dispatcher.dismiss(*id)
    answer = @dispatcher.submit(5)
    assert_equal 5, second.take
    assert second.answer(6)
    assert_equal 6, answer.wait
    second.leave
  end

  def test_a_dismissed_worker_leaves_its_permit_to_another_one
    make(concurrency: 1, slice: NO_SLICE)
    first = @dispatcher.join
    answers = Array.new(2) { |n| @dispatcher.submit(n) }
    assert_equal 0, first.take
    threads(1, "n + 10")
    assert first.answer(10)
    assert @dispatcher.dismiss(*first.id)
    assert_equal false, first.take
    assert_equal [10, 11], answers.map(&:wait) # before it has left
    first.leave
  end

  # Workers are dismissed at random moments and replaced, while requests arrive. Each is answered once, by whichever worker.
  test_with_workers "dismissals at any moment lose no request and leave no worker behind" do |kind|
    seed = Integer(ENV.fetch("SEED", Random.new_seed % 10_000))
    random = Random.new(seed)
    make(slots: 6, concurrency: 2)
    public_send(kind, 3, "n * 2")
    answers = []
    next_number = 0
    25.times do
      random.rand(0..40).times { answers << @dispatcher.submit(next_number += 1) }
      Thread.pass if random.rand(2).zero?
      chosen = ids.sample(random.rand(1..3), random: random)
      chosen.each { |id| assert @dispatcher.dismiss(*id), "SEED=#{seed}" }
      await { (ids & chosen).empty? }
      public_send(kind, chosen.size, "n * 2")
    end
    assert_equal (1..next_number).map { |n| n * 2 }, answers.map(&:wait), "SEED=#{seed}"
    assert_equal 3, occupied, "SEED=#{seed}"
  end
end
