# frozen_string_literal: true

require_relative "support/ruby_test"
require "strings"

# The cache of frozen Strings, used by all Ractors concurrently, while objects move and are collected.
class StringsTest < RubyTest
  LIMIT = 4 + 64

  def test_cached_strings_are_identical_to_literals
    assert_same "REQUEST_METHOD", Strings.find("REQUEST_METHOD".dup)
    assert_same "PATH_INFO", Strings.intern("PATH_INFO".dup)
    assert_same "grüß", Strings.find("grüß".dup)
    assert_same "", Strings.find("".dup)
    assert_same "a late one", Strings.intern("a late one".dup)
    assert_nil Strings.find("a late one")
  end

  def test_cached_strings_are_frozen_and_shareable
    ["PATH_INFO", "another", "much longer than the limit " * 3, "bytes \xff\x00"].each do |text|
      made = Strings.intern(text.dup)
      assert_equal text, made
      assert made.frozen?
      assert Ractor.shareable?(made)
      assert_equal Encoding::UTF_8, made.encoding
      assert_same made, Strings.intern(text.dup)
    end
  end

  def test_the_cache_is_bounded_and_keeps_the_fixed_strings
    times(3000).times { |i| assert_equal "value #{i}", Strings.intern("value #{i}") }
    assert_operator Strings.size, :<=, LIMIT
    long = "x" * 33
    before = Strings.size
    assert_equal long, Strings.intern(long)
    assert_equal before, Strings.size
    assert_same "REQUEST_METHOD", Strings.find("REQUEST_METHOD".dup)
  end

  # Sets have eight places: a string used at least once between any seven others remains the same object.
  def test_a_frequently_used_string_is_not_evicted
    favourite = Strings.intern("favourite")
    id = favourite.object_id
    times(2000).times do |i|
      Strings.intern("passing #{i}")
      assert_equal id, Strings.intern("favourite".dup).object_id
    end
  end

  def test_a_cache_can_be_destroyed
    times(20).times do
      assert_equal ["short", "made by the other", 3], Strings.short_lived
    end
    GC.start
  end

  def test_eight_ractors_share_a_cache
    collecting = shareable([GC_MODE])
    ractors = Array.new(8) do |seed|
      Ractor.new(seed, times(4000), collecting) do |start, count, _mode|
        count.times.count do |i|
          text = "key #{(i * 7 + start) % 150}"
          made = Strings.intern(text)
          again = Strings.intern(text.dup)
          fixed = Strings.find("PATH_INFO".dup)
          made == text && again == text && made.frozen? && fixed.equal?("PATH_INFO")
        end
      end
    end
    10.times do
      GC.start
      GC.compact if GC.respond_to?(:compact) && GC_MODE != "none"
    end
    assert_equal [times(4000)] * 8, ractors.map { |ractor| result_of(ractor) }
    assert_operator Strings.size, :<=, LIMIT
  end

  # Children are forked while Ractors are inside the cache, whose locks must not block them. Before 4.0, Ruby's own lock
  # can: Ractors take it when they start, allocate a String or return from a collection, and a child forked at that moment
  # waits for it in rb_thread_atfork. Hence the collector is off, and the Ractors allocate no Strings.
  def test_a_forked_child_can_use_a_cache_that_was_busy_in_its_parent
    skip "this platform cannot fork" unless Process.respond_to?(:fork)
    GC.stress = false # it would slow down the children
    Strings.busy = true
    GC.disable
    ractors = Array.new(2) { Ractor.new { Strings.keep_busy } }
    await { Strings.settled == 2 }
    statuses = Array.new(times(100)) do
      Process.wait(fork do
        ("a".."p").each { |letter| Strings.intern("busy #{letter}") }
        GC.start unless CRASHING_CHILDREN
        exit!(Strings.size <= LIMIT ? 0 : 1)
      end)
      $?.exitstatus
    end
    assert_equal [0], statuses.uniq
  ensure
    GC.enable
    Strings.busy = false
    ractors&.each { |ractor| await_end(ractor) }
  end
end
