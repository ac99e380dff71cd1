# frozen_string_literal: true

require_relative "support"

# Kino::Counter counts in all Ractors and Threads.
class CounterTest < CollectionsTest
  MAXIMUM = (2**63) - 1

  def test_it_adds_and_resets
    counter = Kino::Counter.new(-3)
    assert_equal(-2, counter.add)
    assert_equal 8, counter.add(10)
    assert_equal 8, counter.value
    assert_equal 8, counter.reset
    assert_equal 0, counter.value
    assert_equal "#<Kino::Counter 0>", counter.inspect
    assert Ractor.shareable?(counter)
  end

  def test_a_sum_beyond_64_bits_is_an_error_and_changes_nothing
    counter = Kino::Counter.new(MAXIMUM)
    assert_raises(RangeError) { counter.add }
    assert_equal MAXIMUM, counter.value
    assert_raises(RangeError) { Kino::Counter.new(-MAXIMUM - 1).add(-1) }
    assert_raises(RangeError) { Kino::Counter.new(MAXIMUM + 1) }
    assert_raises(TypeError) { counter.add("1") }
    assert_raises(TypeError) { counter.dup }
  end

  def test_nothing_is_lost
    counter = Kino::Counter.new
    each = times(2000)
    resets = Thread.new { Array.new(times(200)) { counter.reset }.sum }
    adders = [Ractor, Thread, Ractor].map { |kind| kind.new(counter, each) { |to, many| many.times { to.add(2) } && nil } }
    adders.each { |adder| adder.is_a?(Thread) ? adder.join : result_of(adder) }
    assert_equal 3 * each * 2, resets.value + counter.value
  end
end
