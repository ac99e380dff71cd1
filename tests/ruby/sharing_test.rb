# frozen_string_literal: true

require_relative "support/ruby_test"
require "sharing"

# Objects that only native memory refers to: none is lost, freed early or kept for ever.
class SharingTest < RubyTest
  # An object that the tests can count. Its content tells whether it is intact.
  class Payload
    attr_reader :number, :text

    def initialize(number)
      @number = number
      @text = "payload #{number}"
    end

    def self.make(number) = Ractor.make_shareable(new(number))
    def intact? = text == "payload #{number}"
  end
  # Ruby's collector takes any word on a stack for a reference: a few dead objects may survive.
  STRAYS = 10

  def alive
    4.times { GC.start }
    ObjectSpace.each_object(Payload).count
  end

  # Runs the block in a thread of its own, so that nothing of it stays on this thread's stack.
  def elsewhere(&block)
    Thread.new(&block).value
  end

  def compact
    GC.compact if GC.respond_to?(:compact)
  rescue NotImplementedError
    nil
  end

  def test_an_object_lives_as_long_as_it_is_kept
    count = times(500)
    before = alive
    ids = elsewhere { Array.new(count) { |number| Sharing.keep(Payload.make(number)) } }
    compact
    assert_operator alive, :>=, before + count
    assert_equal (0...count).to_a, elsewhere { ids.map { |id| Sharing.get(id) }.select(&:intact?).map(&:number) }
    assert_operator Sharing.size, :>=, count
    elsewhere { ids.each_with_index { |id, index| assert(index.odd? ? Sharing.drop(id) : Sharing.drop_natively(id)) } }
    assert_operator alive, :<=, before + STRAYS
  end

  def test_objects_of_a_ractor_survive_it
    count = times(500)
    ids = result_of(Ractor.new(count) { |many| Array.new(many) { |number| Sharing.keep(Payload.make(number)) }.freeze })
    GC.start
    compact
    assert_equal (0...count).to_a, (ids.map { |id| Sharing.get(id) }.select(&:intact?).map(&:number))
    numbers = result_of(Ractor.new(ids) { |all| all.map { |id| Sharing.get(id).number } })
    assert_equal (0...count).to_a, numbers
    ids.each { |id| Sharing.drop(id) }
  end

  def test_constants_take_no_place
    before = Sharing.size
    constants = [nil, true, false, 0, -1, 1 << 40, :symbol, 1.5]
    ids = constants.map { |constant| Sharing.keep(constant) }
    assert_equal constants, (ids.map { |id| Sharing.get(id) })
    assert_equal before, Sharing.size
    ids.each { |id| assert Sharing.drop(id) }
  end

  def test_an_unshareable_object_is_refused_and_the_message_says_what_to_do
    [+"text", [+"text"].freeze, Object.new, Thread.current, proc {}, BasicObject.new].each do |object|
      error = assert_raises(TypeError) { Sharing.keep(object) }
      assert_match(/unshareable object \((String|Array|Object|Thread|Proc|BasicObject)\).*Ractor\.make_shareable/, error.message)
    end
  end

  def test_a_copy_is_kept_only_on_request
    original = ["a".dup, { b: [1.5, "c".dup] }]
    id = Sharing.keep_copy(original)
    assert_equal original, Sharing.get(id)
    assert Ractor.shareable?(Sharing.get(id))
    refute_predicate original, :frozen?
    refute_predicate original.first, :frozen?
    frozen = "frozen".freeze
    assert_same frozen, Sharing.get(Sharing.keep_copy(frozen))
    assert_raises(StandardError) { Sharing.keep_copy(Thread.current) }
  end

  # A frozen copy of an IO could do nothing, and hold a file descriptor.
  def test_an_io_is_not_copied
    holder = Object.new.tap { |object| object.instance_variable_set(:@log, [$stderr]) }
    [$stdout, [1, $stdin], { log: $stderr }, Struct.new(:io).new($stdin), holder].each do |object|
      assert_match(/an IO cannot be copied: IO|can't dump IO/, assert_raises(TypeError) { Sharing.keep_copy(object) }.message)
    end
  end

  def test_native_threads_pass_objects_between_ractors
    count = times(3000)
    before = alive
    relay = Sharing::Relay.make(64)
    sender = Ractor.new(relay, count) do |to, many|
      many.times { |number| to.push(Payload.make(number)) }
      to.close
    end
    receivers = Array.new(2) do
      Ractor.new(relay) do |from|
        numbers = []
        while (payload = from.pop)
          numbers << (payload.intact? ? payload.number : :broken)
        end
        numbers
      end
    end
    received = receivers.flat_map { |receiver| result_of(receiver) }
    await_end(sender)
    assert_equal (0...count).to_a, received.sort
    assert_operator alive, :<=, before + STRAYS
  end

  def test_a_container_that_contains_itself_is_collected
    boxes = times(200)
    count = -> { 4.times { GC.start }; ObjectSpace.each_object(Sharing::Box).count }
    before = count.call
    elsewhere do
      boxes.times do |number|
        box = Sharing::Box.make
        box.put(box).put(Payload.make(number)).put(Ractor.make_shareable([box]))
      end
      nil
    end
    assert_operator count.call, :<=, before + STRAYS
  end

  # An old container refers to young objects: without its write barrier, minor collections would free them.
  def test_an_old_container_keeps_young_objects
    box = Sharing::Box.make
    4.times { GC.start }
    count = times(20_000)
    count.times { |number| box.put(Payload.make(number)) }
    GC.start(full_mark: false)
    numbers = Array.new(count) { box.take }.map { |payload| payload.intact? ? payload.number : :broken }
    assert_equal (0...count).to_a, numbers
    assert_equal 0, box.size
  end

  def test_a_child_keeps_the_objects_of_its_parent_and_its_own
    ids = Array.new(20) { |number| Sharing.keep(Payload.make(number)) }
    pid = fork do
      own = Array.new(20) { |number| Sharing.keep(Payload.make(number + 20)) }
      3.times { GC.start }
      compact unless CRASHING_CHILDREN
      good = (ids + own).each_with_index.all? { |id, index| Sharing.get(id).intact? && Sharing.get(id).number == index }
      good &&= ids.all? { |id| Sharing.drop(id) }
      exit!(good ? 0 : 1)
    end
    assert_predicate Process.wait2(pid).last, :success?
    assert(ids.all? { |id| Sharing.get(id).intact? && Sharing.drop(id) })
  end
end
