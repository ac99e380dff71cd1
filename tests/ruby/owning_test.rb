# frozen_string_literal: true

require_relative "support/ruby_test"
require "owning"

# Objects that own native threads: neither the collector nor the end of the process waits for them or crashes.
class OwningTest < RubyTest
  def make_garbage(klass, count)
    count.times { klass.make }
    nil
  end

  def test_the_collector_ends_the_threads_of_what_it_frees
    make_garbage(Owning::Ticker, 5)
    GC.start
    await { Owning.running <= 1 } # the collector's view of the stack may keep the last one
    assert_operator Owning.destroyed, :>=, 4
  end

  def test_the_collector_does_not_wait_for_a_thread_that_waits_for_ruby
    before = Owning.destroyed
    make_garbage(Owning::Asker, 5)
    GC.start # returns although no answer has arrived
    5.times { assert Owning.answer }
    GC.start
    await { Owning.destroyed >= before + 4 }
  end

  def test_a_process_ends_while_its_objects_own_threads
    [%w[Ticker], %w[Asker], %w[Ticker Asker]].each do |names|
      makes = names.map { |name| "Owning::#{name}.make" }.join(", ")
      assert_equal "over\n", child("require 'owning'; kept = Array.new(3) { [#{makes}] }; puts 'over'")
    end
  end

  def test_a_forked_child_ends_although_it_has_the_objects_and_not_the_threads
    assert_equal "child\nparent\n", child(<<~RUBY)
      require "owning"
      $stdout.sync = true
      kept = [Owning::Ticker.make, Owning::Asker.make]
      pid = fork do
        kept = nil
        GC.start
        puts "child"
      end
      exit 1 unless Process.wait2(pid).last.success?
      puts "parent"
    RUBY
  end

  def test_what_left_the_work_is_raised_by_join
    _, printed = capture_subprocess_io do
      assert_equal "no such place", assert_raises(IndexError) { Owning.join_failed }.message
    end
    assert_equal "kino: a native thread ended with an exception: no such place\n", printed
  end

  def test_an_interrupt_ends_a_join_and_the_owner_ends_the_thread
    before = Owning.running
    thread = Thread.new { Owning.join_forever }
    await_waiting(thread) # not for a larger count: what an earlier test left may be collected now
    thread.kill.join
    assert_operator Owning.running, :<=, before
  end

  def test_a_destructor_lets_ruby_run_while_it_waits
    answering = Thread.new { Owning.go_on; Owning.answer }
    assert Owning.ask_natively
    assert answering.value
  end

  # A destructor cannot be left by what an interrupt raises, and must not lose it either.
  def test_what_interrupts_a_destructor_is_raised_after_it
    asking = Thread.new do
      Owning.ask_natively
      sleep
    rescue IOError => e
      e.message
    end
    Thread.pass until asking.stop?
    asking.raise(IOError, "late")
    Owning.go_on
    assert Owning.answer
    assert_equal "late", asking.value
    killed = Thread.new { Owning.ask_natively; sleep }
    Thread.pass until killed.stop?
    killed.kill
    Owning.go_on
    assert Owning.answer
    assert_nil killed.value
  end

  def test_a_child_is_told_that_a_shared_answer_is_its_parents
    assert_equal "kino: this shared_answer was made before fork; make one in the child\n", child(<<~RUBY)
      require "owning"
      Owning.ask_all
      Process.wait(fork do
        Owning.wait_for_all
      rescue RuntimeError => e
        puts e.message
      end)
    RUBY
  end

  def test_all_who_wait_get_the_one_answer
    Owning.ask_all
    threads = Array.new(4) { Thread.new { Owning.wait_for_all } }
    threads.each { |thread| await_waiting(thread) }
    refute Owning.wait_a_moment
    threads.pop.kill.join
    assert Owning.answer_all(7)
    assert_equal [7, 7, 7], threads.map(&:value)
    refute Owning.answer_all(8)
  end
end
