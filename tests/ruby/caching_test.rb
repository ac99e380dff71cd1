# frozen_string_literal: true

require_relative "support/ruby_test"
require "caching"

# One caller computes a value, threads and Ractors wait for it, and none waits forever, however the computation ends.
class CachingTest < RubyTest
  def setup
    Caching.renew
    super
  end

  def fetching(key = "a", &block)
    thread = Thread.new { Caching.number(key, &block) }
    await_waiting(thread)
    thread
  end

  # A thread that computes until the gate opens, then 1.
  def computing(key = "a")
    fetching(key) do
      Caching.wait_at_gate
      1
    end.tap { await { Caching.computing == 1 } }
  end

  def test_a_value_is_computed_once_for_all_threads
    first = computing
    others = Array.new(3) { fetching { flunk "computed again" } }
    Caching.open_gate
    assert_equal [1, 1, 1, 1], [first, *others].map(&:value)
    assert_equal(1, Caching.number("a") { flunk "computed again" })
  end

  def test_a_value_is_computed_once_for_all_ractors
    key = "ractors #{GC_MODE}".freeze
    ractors = Array.new(3) do |index|
      Ractor.new(key, index) { |name, number| Caching.object(name) { ["computed by", number.to_s] } }
    end
    values = ractors.map { |ractor| result_of(ractor) }
    assert_equal 1, values.map(&:object_id).uniq.size
    assert Ractor.shareable?(values.first)
    assert_same values.first, Caching.find(key)
  end

  def test_the_exception_of_a_computation_is_raised_in_its_caller_and_another_one_computes
    first = fetching do
      Caching.wait_at_gate
      raise IOError, "no such disk"
    end
    await { Caching.computing == 1 }
    others = Array.new(3) { fetching { 2 } }
    Caching.open_gate
    assert_equal "no such disk", assert_raises(IOError) { first.value }.message
    assert_equal [2, 2, 2], others.map(&:value)
  end

  def test_if_the_computing_thread_is_killed_another_one_computes
    first = computing
    others = Array.new(2) { fetching { 2 } }
    first.kill.join
    assert_equal [2, 2], others.map(&:value)
  end

  def test_after_a_throw_out_of_a_computation_another_one_computes
    assert_equal(:left, catch(:way) { Caching.number("a") { throw :way, :left } })
    assert_equal(2, Caching.number("a") { 2 })
  end

  def test_an_interrupt_ends_the_wait_of_its_thread_only
    first = computing
    others = Array.new(2) { fetching { flunk "computed again" } }
    others.pop.kill.join
    assert_raises(Timeout::Error) { Timeout.timeout(0.02) { Caching.number("a") { flunk "computed again" } } }
    Caching.open_gate
    assert_equal [1, 1], [first, *others].map(&:value)
  end

  def test_a_computation_that_needs_its_own_value_raises
    error = assert_raises(Errno::EDEADLK) { Caching.number("a") { Caching.number("a") { 1 } } }
    assert_includes error.message, "requires that same value"
    assert_equal(1, Caching.number("a") { Caching.number("b") { 1 } })
  end

  def test_cached_objects_are_not_collected
    times(200).times do |number|
      Caching.object("object #{number}") { ["made", number.to_s, [number.to_f]] }
      GC.start if (number % 16).zero?
    end
    GC.start
    last = times(200) - 1
    assert_equal ["made", last.to_s, [last.to_f]], Caching.find("object #{last}")
    assert_operator Caching.size, :<=, 16
    assert Caching.erase("object #{last}")
    assert_nil Caching.find("object #{last}")
  end

  def test_an_unshareable_object_is_not_cached
    assert_raises(StandardError) { Caching.object("thread") { Thread.current } }
    assert_nil Caching.find("thread")
  end

  def test_ractors_that_fetch_and_evict_get_intact_objects
    rounds = times(2_000)
    ractors = Array.new(3) do |index|
      Ractor.new(index, rounds) do |seed, count|
        random = Random.new(seed)
        Array.new(count) { random.rand(40).to_s }.reject { |key| Caching.object(key) { [key, [key]] } == [key, [key]] }
      end
    end
    ractors.each { |ractor| assert_empty result_of(ractor) }
  end

  def test_a_forked_child_starts_with_an_empty_cache
    first = computing
    Caching.object("inherited") { ["parent"] }
    pid = fork do
      fresh = Caching.find("inherited").nil? && Caching.object("inherited") { ["child"] } == ["child"]
      GC.start
      exit!(fresh && Caching.number("a") { 2 } == 2 ? 0 : 1)
    end
    assert_predicate Process.wait2(pid).last, :success?
    assert_equal ["parent"], Caching.find("inherited")
    Caching.open_gate
    assert_equal 1, first.value
  end

  def test_a_computation_that_forks_completes_in_both_processes
    pid = nil
    value = Caching.number("a") { (pid = fork) ? 1 : 2 }
    exit!(value == 2 && Caching.number("a") { 3 } == 3 ? 0 : 1) unless pid
    assert_predicate Process.wait2(pid).last, :success?
    assert_equal 1, value
  end
end
