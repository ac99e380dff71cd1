# frozen_string_literal: true

require_relative "support/ruby_test"
require "broadcasting"

# Every subscriber, in any Ractor, receives each message; slow ones get the number of messages they missed.
class BroadcastingTest < RubyTest
  def renew(capacity)
    Broadcasting.renew(capacity)
  end

  # Ractors that subscribe, pop until the broadcast is closed, and return what they popped and the number missed.
  def listeners(count)
    Array.new(count) do |index|
      before = Broadcasting.count
      ractor = Ractor.new(index) do
        mine = Broadcasting::Subscriber.make
        popped = []
        while (number = mine.pop) != :closed
          popped << number
        end
        popped + [mine.lagged]
      end
      await { Broadcasting.count > before }
      ractor
    end
  end

  def test_every_ractor_gets_every_message
    renew(1000)
    ractors = listeners(3)
    assert_equal([3] * 100, Array.new(100) { |number| Broadcasting.publish(number) })
    Broadcasting.close
    ractors.each { |ractor| assert_equal [*0...100, 0], result_of(ractor) }
  end

  def test_a_slow_subscriber_misses_the_oldest_messages
    renew(2)
    mine = Broadcasting::Subscriber.make
    5.times { |number| assert_equal 1, Broadcasting.publish(number) }
    assert_equal 3, mine.lagged
    assert_equal [3, 4, :timed_out], Array.new(3) { mine.pop_for_a_moment }
  end

  def test_every_published_message_is_popped_or_counted_as_missed
    renew(4)
    ractors = listeners(2)
    times(10_000).times { |number| Broadcasting.publish(number) }
    Broadcasting.close
    ractors.each do |ractor|
      *popped, missed = result_of(ractor)
      assert_equal popped.sort, popped
      assert_equal times(10_000), popped.size + missed
    end
  end

  def test_a_subscriber_remains_usable_after_an_interrupted_pop
    renew(4)
    mine = Broadcasting::Subscriber.make
    thread = Thread.new { mine.pop }
    await_waiting(thread)
    thread.kill.join
    assert_equal 1, Broadcasting.publish(7)
    assert_equal 7, mine.pop
  end

  def make_garbage
    10.times { Broadcasting::Subscriber.make }
    nil
  end

  def test_collecting_a_subscriber_unsubscribes_it
    renew(1)
    make_garbage
    await do
      GC.start
      Broadcasting.count <= 1 # the collector's view of the stack may keep the last one
    end
  end

  def test_a_subscriber_outlives_the_broadcast
    renew(2)
    mine = Broadcasting::Subscriber.make
    Broadcasting.publish(1)
    renew(2)
    assert_equal [1, :closed], [mine.pop, mine.pop]
  end

  def test_a_subscriber_raises_in_a_forked_child
    renew(2)
    mine = Broadcasting::Subscriber.make
    pid = fork do
      told = assert_raises(RuntimeError) { mine.pop_for_a_moment }.message.include?("made before fork")
      mine = nil
      GC.start
      exit!(told ? 0 : 1)
    end
    assert_predicate Process.wait2(pid).last, :success?
    assert_equal 1, Broadcasting.publish(1)
    assert_equal 1, mine.pop
  end
end
