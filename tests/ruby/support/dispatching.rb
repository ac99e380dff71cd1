# frozen_string_literal: true

require_relative "ruby_test"
require "dispatching"

# Tests of a dispatcher with workers in Ractors or threads, which is closed at the end of each test.
class DispatcherTest < RubyTest
  def setup
    @ractors = []
    @threads = []
    super
  end

  def teardown
    @dispatcher&.close
    @ractors.each { |ractor| await_end(ractor) }
    @threads.each do |thread|
      thread.join
    rescue StandardError, NoMemoryError
      nil
    end
    super
    assert_empty(@dispatcher.slots.select { |occupied, in_flight,| occupied || in_flight.positive? }) if @dispatcher
  end

  # An hour in milliseconds: no worker loses its permit because it computes.
  NO_SLICE = 3_600_000

  def make(capacity: 1024, slots: 8, concurrency: 1, permits: true, slice: 10, refuse: false)
    @dispatcher = shareable(Dispatching::Dispatcher.make(capacity, slots, concurrency, permits, slice, refuse))
  end

  def counter
    shareable(Dispatching::Counter.make)
  end

  def gate(count)
    shareable(Dispatching::Gate.make(count))
  end

  def occupied
    @dispatcher.slots.count(&:first)
  end

  # Workers start one by one: each Ractor after the one before has joined.
  def start(count)
    count.times do
      before = occupied
      yield
      await { occupied > before }
    end
  end

  # Starts `count` Ractors that serve with a block of Ruby source: `n` is the request, `a` and `b` are `first` and `second`.
  def ractors(count, source, first = nil, second = nil)
    start(count) do
      @ractors << Ractor.new(@dispatcher, source, first, second) do |dispatcher, code, a, b|
        handler = eval("->(n, a, b) { #{code} }")
        dispatcher.serve { |n| handler.call(n, a, b) }
      end
    end
  end

  # The same in threads.
  def threads(count, source, first = nil, second = nil)
    start(count) do
      @threads << Thread.new(@dispatcher, eval("->(n, a, b) { #{source} }")) do |dispatcher, handler|
        dispatcher.serve { |n| handler.call(n, first, second) }
      end
    end
  end

  # Defines a test for workers in Ractors and one for workers in threads; the block gets :ractors or :threads.
  def self.test_with_workers(description, &block)
    %i[ractors threads].each do |kind|
      define_method("test_#{description.gsub(/\W+/, "_")}_with_#{kind}") { instance_exec(kind, &block) }
    end
  end
end
