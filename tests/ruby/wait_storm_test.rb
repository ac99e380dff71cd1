# frozen_string_literal: true

require_relative "support/ruby_test"
require_relative "support/waiting"

# Waiting threads are killed or raised in thousands of times: every value is popped exactly once.
class WaitStormTest < RubyTest
  # Consumers and producers that record each value before an interrupt can reach them: interrupts are enabled only while a
  # thread waits. Each is ended many times and replaced.
  module Storm
    def self.consumer(channel, taken)
      pinned_thread do
        Thread.handle_interrupt(Object => :on_blocking) do
          while (number = channel.pop) != :closed
            taken << number
          end
        end
      end
    end

    def self.producer(channel, numbers, given)
      pinned_thread do
        Thread.handle_interrupt(Object => :on_blocking) do
          until numbers.empty?
            number = numbers.last
            break unless channel.push(number) == :pushed

            numbers.pop
            given << number
          end
        end
      end
    end

    # Returns only when the thread has been pinned.
    def self.pinned_thread
      pinned = Thread::Queue.new
      thread = Thread.new do
        Waits.pin
        pinned << true
        yield
      rescue Waiting::Ended
        nil
      end
      pinned.pop
      thread
    end

    def self.end_one(thread, random)
      random.rand(2).zero? ? thread.kill : thread.raise(Waiting::Ended)
      thread.join
    end

    # Whether every number arrived exactly once.
    def self.consumers(count, seed, workers)
      channel = Waits::Channel.make(16)
      taken = []
      random = Random.new(seed)
      threads = Array.new(workers) { consumer(channel, taken) }
      count.times do |number|
        channel.push(number)
        next unless (number % 13).zero?

        index = random.rand(workers)
        end_one(threads[index], random)
        threads[index] = consumer(channel, taken)
      end
      channel.close
      threads.each(&:join)
      taken.sort == (0...count).to_a
    end

    def self.producers(count, seed, workers)
      channel = Waits::Channel.make(16)
      random = Random.new(seed)
      shares = (0...count).group_by { |number| number % workers }.values
      given = []
      taken = []
      threads = shares.map { |share| producer(channel, share, given) }
      count.times do |i|
        taken << channel.pop
        next unless (i % 13).zero?

        index = random.rand(workers)
        end_one(threads[index], random)
        threads[index] = producer(channel, shares[index], given)
      end
      threads.each(&:join)
      taken.sort == (0...count).to_a && given.sort == taken.sort
    end
  end

  def teardown
    super
    assert_equal 0, Waits.alive, "a C++ object has outlived its frame"
  end

  %i[consumers producers].each do |side|
    define_method("test_#{side}_that_die_in_threads_lose_no_value") do
      assert Storm.public_send(side, times(20_000), 1, 4)
    end

    # Pinned threads, in Ractors that start one by one; only one Ractor if this Ruby cannot pin.
    define_method("test_#{side}_that_die_in_ractors_lose_no_value") do
      ready = shareable(Waits::Channel.make(1))
      ractors = Array.new(UNPINNED_THREADS ? 1 : 2) do |seed|
        Ractor.new(side, times(10_000), seed, ready) do |which, count, start, pinned|
          Waits.pin
          pinned.push(1)
          Storm.public_send(which, count, start, 2)
        end.tap { ready.pop }
      end
      assert_equal [true], ractors.map { |ractor| result_of(ractor) }.uniq
    end
  end

  # Ractors pop some numbers and end or raise, one after the other, while the main Ractor pushes.
  def test_every_number_popped_by_a_dying_ractor_was_yielded
    channel = shareable(Waits::Channel.make(8))
    count = times(4000)
    taken = []
    consuming = Thread.new do
      until taken.size == count
        ractor = Ractor.new(channel, taken.size) do |from, before|
          mine = []
          begin
            Waits.each_popped(from) do |number|
              mine << number
              break if mine.size == 50
              raise "broken" if mine.size == 49 && before.odd?
            end
          rescue RuntimeError
            nil
          end
          mine
        end
        taken.concat(result_of(ractor))
      end
    end
    count.times { |number| channel.push(number) }
    channel.close
    consuming.join
    assert_equal (0...count).to_a, taken
  end

  def test_pops_that_time_out_lose_no_value
    channel = Waits::Channel.make(8)
    count = times(2000)
    producer = Thread.new { count.times { |number| channel.push(number) && (Thread.pass if (number % 3).zero?) } }
    taken = []
    while taken.size < count
      case number = channel.pop_for(0)
      when Integer then taken << number
      else assert_equal :timed_out, number
      end
    end
    producer.join
    assert_equal (0...count).to_a, taken
  end
end
