# frozen_string_literal: true

require_relative "support/ruby_test"
require "starting"

# Worker Ractors are started one by one, or `start` raises.
class StartingTest < RubyTest
  def setup
    Starting.renew
    super
  end

  def stop(ractors)
    Starting.stop
    ractors.map { |ractor| result_of(ractor) }
  end

  def test_every_ractor_serves_when_start_returns
    ractors = Starting.start(3) do |index|
      Starting.serve
      index
    end
    assert_equal 3, Starting.serving
    assert_equal [0, 1, 2], stop(ractors)
    assert_equal "Starting 1", ractors[1].name
  end

  # Although `start` itself has watched for the end of each Ractor.
  def test_the_caller_can_take_the_value_of_each_ractor
    times(2000).times do
      Starting.renew
      assert_equal [:served], stop(Starting.start(1) { Starting.serve; :served })
    end
  end

  # Ruby shares eight native threads between Ractors by default, and the first eight Ractors pin all of them.
  def test_ractors_that_are_created_in_a_row_and_pin_their_threads_all_start
    assert_equal "all waited\n", child(<<~RUBY, env: { "RUBY_MAX_CPU" => nil })
      require "waits"
      go = Ractor.make_shareable(Waits::Channel.make(40))
      3.times do
        ractors = Array.new(40) { Ractor.new(go) { |from| Waits.pin_to_wait; from.pop } }
        40.times { |number| go.push(number) }
        numbers = ractors.map { |ractor| ractor.respond_to?(:value) ? ractor.value : ractor.take }
        raise numbers.inspect unless numbers.sort == (0...40).to_a
      end
      puts "all waited"
    RUBY
  end

  def test_start_works_where_interrupts_are_deferred
    ractors = Thread.handle_interrupt(Object => :never) { Starting.start(2) { |index| Starting.serve; index } }
    assert_equal [0, 1], stop(ractors)
  end

  def test_a_ractor_is_created_only_after_the_previous_one_serves
    ractors = Starting.start(3) do |index|
      seen = Starting.serving
      Starting.serve
      [index, seen]
    end
    assert_equal [[0, 0], [1, 1], [2, 2]], stop(ractors)
  end

  def test_further_arguments_are_passed_to_every_block
    ractors = Starting.start(2, "a", :b) do |index, first, second|
      Starting.serve
      [index, first, second]
    end
    assert_equal [[0, "a", :b], [1, "a", :b]], stop(ractors)
  end

  def test_start_raises_with_a_cause_if_a_ractor_dies_before_it_serves
    error = assert_raises(RuntimeError) do
      Starting.start(2) { |index| index == 1 ? raise(IOError, "no such disk") : Starting.serve }
    end
    assert_equal "Starting.start: Ractor 1 ended before it began to serve", error.message
    assert_equal "no such disk", error.cause.message
    assert_equal 1, Starting.serving
  ensure
    Starting.stop
    await { Starting.serving.zero? }
  end

  def test_start_raises_if_a_ractor_ends_without_serving
    error = assert_raises(RuntimeError) { Starting.start(1) { nil } }
    assert_equal "Starting.start: Ractor 0 ended before it began to serve", error.message
    assert_nil error.cause
  end

  def test_start_can_be_called_again_after_a_timeout
    lazy = shareable(["wait"])
    assert_raises(Timeout::Error) { Timeout.timeout(0.05) { Starting.start(1, lazy) { Ractor.receive } } }
    assert_equal [7], stop(Starting.start(1) { Starting.serve; 7 })
  end

  def test_without_a_block_nothing_is_started
    assert_raises(ArgumentError) { Starting.start(1) }
  end

  def test_internal_functions_are_not_visible
    assert_empty Starting.methods.grep(/\Akino_/)
  end
end
