# frozen_string_literal: true

require_relative "support"

# Actors.on_event. Handlers are shareable, so they collect what they see in a map.
class TelemetryTest < ActorsTest
  class Collector
    def initialize = (@events = Kino::Channel.new(10_000)) && freeze
    def call(event) = @events << Ractor.make_shareable([event.name, event.actor, event.details])

    def all = Array.new(@events.size) { @events.pop }
  end

  class Broken
    def call(_event) = raise("handler")
  end

  class Counter < Actors::GenServer
    def init = @count = 0
    def add(number) = @count += number
    def wait = Actors.sleep(3600)
  end

  def setup
    super
    @handlers = []
  end

  def teardown
    @handlers.each { |handler| Actors.off_event(handler) }
    super
  end

  def collect(*names)
    Ractor.make_shareable(Collector.new).tap { |collector| @handlers << Actors.on_event(*names, handler: collector) }
  end

  each_isolation "starts_and_ends_are_told" do
    seen = collect(:start, :end)
    counter = Counter.start(isolation: @isolation)
    counter.stop
    actor, = spawn_monitor { raise "no luck" }
    receive
    events = []
    of = ->(ref) { events.select { |_, each, _| each == ref } }
    await { (events += seen.all) && [counter, actor].all? { |ref| of.(ref).size == 2 } }
    assert_equal [[:start, counter, {}], [:end, counter, { reason: :normal }]], of.(counter)
    assert_equal [:start, :end], of.(actor).map(&:first)
    assert_equal "no luck", of.(actor).last[2][:reason].message
  end

  each_isolation "restarts_and_the_end_of_patience_are_told" do
    seen = collect(:restart, :give_up)
    top = Actors::Supervisor.start(max_restarts: 2, isolation: @isolation) { child Counter, name: :counted }
    watch = Actors.monitor(top)
    3.times do
      await { Actors[:counted].alive? }
      assert_raises(Actors::Down) { Actors[:counted].call(:add, "x") }
    end
    receive { |message| message in [:DOWN, ^watch, _, _] }
    events = seen.all
    assert_equal [[:restart, { id: :counted, restarts: 1 }], [:restart, { id: :counted, restarts: 2 }], [:give_up, { max_restarts: 2 }]],
                 events.map { |name, _, details| [name, details] }
    assert_equal top, events.last[1]
  end

  def test_calls_that_take_too_long_full_mailboxes_and_long_turns_are_told
    Actors::Simulation.run do |simulation|
      seen = collect
      counter = Counter.start(capacity: 1)
      counter.cast(:wait)
      assert_raises(Actors::CallTimeout) { counter.call(:add, 1, timeout: 2) }
      refute counter.cast(:add, 1, full: :drop)
      waiting = Actors.spawn { loop { Actors.receive } }
      Actors.spawn { waiting << 1; simulation.instance_variable_set(:@now, simulation.now + 7) }
      Actors.sleep(1)
      told = seen.all.to_h { |name, actor, details| [name, [actor, details]] }
      assert_equal [[counter, { seconds: 2 }], [counter, { size: 1 }]], told.values_at(:call_timeout, :mailbox_full)
      assert_equal({ seconds: 7.0 }, told[:long_turn].last)
    end
  end

  def test_a_handler_that_raises_is_not_called_again
    errors = capture_io do
      Actors::Simulation.run do
        Actors.on_event(:end, handler: Ractor.make_shareable(Broken.new))
        seen = collect(:end)
        3.times { Actors.spawn { 1 } }
        Actors.sleep(1)
        assert_equal 3, seen.all.size
      end
    end.last
    assert_match(/\Aactors: a handler of end has raised, and is not called any more: RuntimeError: handler \(.*\n\z/, errors)
  end

  # What a handler does causes no events, and it may come and go at any time.
  def test_handlers_change_while_actors_run
    runs = Array.new(2) { Actors.spawn_monitor(isolation: :thread) { 200.times { Actors.off_event(Actors.on_event(:start, handler: COUNT)) } } }
    50.times { Actors.spawn { 1 } }
    runs.each { |_, watch| assert_equal :normal, receive { |message| message in [:DOWN, ^watch, _, _] }[3] }
    seen = collect(:start)
    actor = Actors.spawn { 1 }
    events = []
    await { (events += seen.all).include?([:start, actor, {}]) }
    assert_equal 1, events.count([:start, actor, {}])
  end
  COUNT = Ractor.make_shareable(Collector.new)

  def test_blocks_and_unknown_events
    assert_match(/there is no event :stop: events are :start, :end/, assert_raises(ArgumentError) { Actors.on_event(:stop, handler: 1) }.message)
    skip "this Ruby cannot pass blocks to other actors" unless Actors::Runtime::RACTORS
    me = Actors.current
    @handlers << Actors.on_event(:start) { |event| me << [event.name, event.actor] }
    actor = Actors.spawn { 1 }
    assert(receive { |message| message == [:start, actor] })
  end
end
