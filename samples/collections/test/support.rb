# frozen_string_literal: true

require "minitest/autorun"
require "timeout"
require "kino/collections"

Warning[:experimental] = false
Thread.report_on_exception = false

# Common to the tests: Ractors on every Ruby, GC modes, counted objects.
class CollectionsTest < Minitest::Test
  GC_MODE = ENV.fetch("KINO_TEST_GC", "none")
  # Without kino, too, a child of a process with Ractors can crash in Ruby's allocator.
  CRASHING_CHILDREN = RUBY_VERSION >= "3.3" && RUBY_VERSION < "4.0"
  UNPINNED_THREADS = RUBY_VERSION.start_with?("3.3")
  # On 3.3 and 3.4, a program without kino hangs, too, if threads of two Ractors are repeatedly ended while they wait in
  # rb_nogvl for a condition variable.
  ENDED_THREADS_HANG = RUBY_VERSION >= "3.3" && RUBY_VERSION < "4.0"
  # Ruby's collector takes any word on a stack for a reference: a few dead objects may survive.
  STRAYS = 20

  # Its instances can be counted, and tell whether they are intact.
  class Payload
    attr_reader :number, :text

    def initialize(number)
      @number = number
      @text = "payload #{number}"
    end

    def self.make(number) = Ractor.make_shareable(new(number))
    def intact? = text == "payload #{number}"
  end

  # Keys of a map that all have the same hash.
  Colliding = Struct.new(:number) { def hash = 7 }

  def setup
    case GC_MODE
    when "stress" then GC.stress = 1 # a minor collection at each allocation
    when "compact"
      skip "this Ruby cannot compact" unless GC.respond_to?(:auto_compact=)
      GC.auto_compact = true
    end
  end

  def teardown
    GC.stress = false
    GC.auto_compact = false if GC.respond_to?(:auto_compact=)
  end

  # The number of repetitions: `many`, or few if each allocation is a collection.
  def times(many) = GC_MODE == "stress" ? [many / 200, 3].max : many

  def result_of(ractor) = ractor.respond_to?(:value) ? ractor.value : ractor.take

  # Objects that are alive. Nothing of the block's work stays on this thread's stack.
  def alive(klass = Payload)
    4.times { GC.start }
    ObjectSpace.each_object(klass).count
  end

  # After it, garbage that minor collections find has been overwritten. An object is old after a few collections.
  def collect_young_objects
    5.times { GC.start(full_mark: false) }
    Array.new(1000) { |number| "overwritten #{number}" }
  end

  def elsewhere(&block) = Thread.new(&block).value

  def colliding(number) = Ractor.make_shareable(Colliding.new(number))
  def map_of(pairs) = Kino::Map.new.tap { |map| pairs.each { |key, value| map[key] = value } }

  def await
    Thread.pass until yield
  end

  def asleep(&block)
    thread = Thread.new(&block)
    await { thread.status == "sleep" || !thread.alive? }
    thread
  end

  def succeeds_in_child
    pid = fork { exit!(yield ? 0 : 1) }
    assert_predicate Process.wait2(pid).last, :success?
  end
end
