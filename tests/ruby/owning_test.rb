# frozen_string_literal: true

require_relative "support/ruby_test"
require "owning"

# Objects that own native threads: neither the collector nor the end of the process waits for the threads or crashes.
class OwningTest < RubyTest
  def make_garbage(klass, count)
    count.times { klass.make }
    nil
  end

  def test_freeing_an_object_ends_its_thread
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

  def test_a_process_can_end_while_its_objects_own_threads
    [%w[Ticker], %w[Asker], %w[Ticker Asker]].each do |names|
      makes = names.map { |name| "Owning::#{name}.make" }.join(", ")
      assert_equal "over\n", child("require 'owning'; kept = Array.new(3) { [#{makes}] }; puts 'over'")
    end
  end

  def test_a_forked_child_without_the_threads_can_free_the_objects_and_end
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

  def test_join_raises_the_exception_of_the_work
    _, printed = capture_subprocess_io do
      assert_equal "no such place", assert_raises(IndexError) { Owning.join_failed }.message
    end
    assert_equal "kino: a native thread ended with an exception: no such place\n", printed
  end

  def test_an_interrupt_ends_join_and_then_the_thread
    before = Owning.running
    thread = Thread.new { Owning.join_forever }
    await_waiting(thread) # not for a larger count: objects of an earlier test may be collected now
    thread.kill.join
    assert_operator Owning.running, :<=, before
  end

  def test_a_destructor_lets_ruby_run_while_it_waits
    answering = Thread.new { Owning.continue_asking; Owning.answer }
    assert Owning.ask_natively
    assert answering.value
  end

  # A destructor can neither propagate an interrupt's exception nor lose it.
  def test_an_interrupt_during_a_destructor_is_raised_after_it
    asking = Thread.new do
      Owning.ask_natively
      sleep
    rescue IOError => e
      e.message
    end
    Thread.pass until asking.stop?
    asking.raise(IOError, "late")
    Owning.continue_asking
    assert Owning.answer
    assert_equal "late", asking.value
    killed = Thread.new { Owning.ask_natively; sleep }
    Thread.pass until killed.stop?
    killed.kill
    Owning.continue_asking
    assert Owning.answer
    assert_nil killed.value
  end

  def test_a_shared_answer_raises_in_a_forked_child
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

  def test_all_waiting_threads_get_the_same_answer
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
