# frozen_string_literal: true

require_relative "support/ruby_test"
require "boundary"

# Methods, exceptions in both directions with every destructor run, native objects.
class BoundaryTest < RubyTest
  CPP = {
    invalid_argument: [ArgumentError, "an argument"], out_of_range: [IndexError, "an index"],
    bad_alloc: [NoMemoryError, /failed to allocate memory/], runtime_error: [RuntimeError, "anything"],
    number: [RuntimeError, /unknown C\+\+ exception/], system_error: [Errno::ENOENT, "No such file or directory - a file"],
    system_error_alone: [Errno::ENOENT, "No such file or directory"],
    filesystem_error: [
      Errno::ENOENT,
      "No such file or directory - filesystem error: cannot create directory [/nonexistent/directory]"
    ],
    other_category: [RuntimeError, /a stream/], percent: [RuntimeError, "100%s %n"], key: [KeyError, "a key: é"]
  }.freeze

  def teardown
    super
    assert_equal 0, Boundary.frames, "a C++ object has outlived its frame"
  end

  def test_arities
    assert_equal [0, [1, 2], [], [1, 2, 3]],
                 [Boundary.none, Boundary.two(1, 2), Boundary.any, Boundary.any(1, 2, 3)]
    assert_equal [0, 2, -1], %i[none two any].map { |name| Boundary.method(name).arity }
    error = assert_raises(ArgumentError) { Boundary.two(1) }
    assert_match(/given 1, expected 2/, error.message)
  end

  CPP.each do |kind, (type, message)|
    define_method("test_cpp_#{kind}_becomes_a_ruby_exception") do
      error = assert_raises(type) { Boundary.throw_cpp(kind) }
      assert_operator message, :===, error.message
      assert_equal Encoding::UTF_8, error.message.encoding if kind == :key
    end
  end

  def test_a_long_message_arrives_whole
    assert_equal "x" * 200_000, assert_raises(RuntimeError) { Boundary.throw_cpp(:long) }.message
  end

  # Every way out of a block runs the destructors of the C++ frames below it.
  def ways_out
    {
      raise: -> { Boundary.yield_deep { raise IOError, "out" } },
      throw: -> { catch(:out) { Boundary.yield_deep { throw :out, :thrown } } },
      break: -> { Boundary.yield_deep { break :broken } },
      next: -> { Boundary.yield_deep { next :passed } },
      kill: -> { Thread.new { Boundary.yield_deep { Thread.current.kill } }.value },
      kill_from_outside: lambda {
        thread = Thread.new { Boundary.yield_deep { sleep } }
        await_waiting(thread)
        thread.kill.value
      },
      exit: -> { Boundary.yield_deep { exit } },
      nested: -> { Boundary.yield_deep { Boundary.yield_deep { Boundary.throw_cpp(:out_of_range) } } },
      observed: -> { Boundary.observe { raise IOError, "out" } }
    }
  end

  def test_every_way_out_runs_the_destructors
    expected = {
      raise: IOError, throw: :thrown, break: :broken, next: :passed, kill: nil, kill_from_outside: nil, exit: SystemExit,
      nested: IndexError, observed: IOError
    }
    seen = ways_out.transform_values do |way|
      way.call
    rescue IOError, SystemExit, IndexError => e
      e.class
    end
    assert_equal expected, seen
    assert_nil $!
  end

  def test_a_method_can_return_through_the_block
    assert_equal 5, returns_through
  end

  def returns_through
    Boundary.yield_deep { return 5 }
  end

  def test_retry_and_ensure
    order = []
    begin
      Boundary.yield_deep do
        order << :block
        raise IOError if order.size < 4
      ensure
        order << :ensure
      end
    rescue IOError
      retry
    end
    assert_equal %i[block ensure block ensure block ensure], order
  end

  # Ways out at the bottom of a nest of frames, and what has to arrive at its top.
  module Ways
    LOW = Class.new(StandardError)

    def raises = raise(LOW, "from below")
    def throws = throw(:out, :thrown)
    def killed = Thread.current.kill
    def returns = :returned
  end
  WAYS_OUT = { raises: [Ways::LOW, "from below"], throws: :thrown, killed: nil, returns: :returned,
               out_of_range: [IndexError, "from below"], without_gvl: [IndexError, "from below"],
               number: [RuntimeError, "kino: an unknown C++ exception"] }.freeze
  FRAMES = %i[protect method block pair ensure catch_all catch_std destructor].freeze

  # What came of a plan, in a thread of its own because it may be killed.
  def outcome_of(plan)
    ended = []
    value = Thread.new do
      catch(:out) { Boundary.nest(plan, 0) }
    rescue StandardError => e
      [e.class, e.message]
    ensure
      ended << $!.class
    end.value
    assert_equal 1, ended.size
    value
  end

  def test_any_nesting_of_frames_is_left_in_order
    Boundary.extend(Ways)
    random = Random.new(Integer(ENV.fetch("SEED", "22")))
    times(3000).times do
      way = WAYS_OUT.keys.sample(random: random)
      plan = Array.new(random.rand(8)) { FRAMES.sample(random: random) } << way
      expected = WAYS_OUT[way]
      assert_equal [expected], [outcome_of(plan)], "with #{plan}"
      assert_equal 0, Boundary.frames, "frames are left with #{plan}"
    end
  end

  def test_a_handler_of_cpp_exceptions_catches_nothing_of_ruby
    assert_raises(IOError) { Boundary.handler_sees { raise IOError } }
    assert_equal :thrown, catch(:out) { Boundary.handler_sees { throw :out, :thrown } }
    assert_nil Thread.new { Boundary.handler_sees { Thread.current.kill } }.value
    assert_raises(Timeout::Error) { Timeout.timeout(0.01) { Boundary.handler_sees { sleep } } }
  end

  def test_a_name_that_the_c_library_has_too
    assert Boundary.close
  end

  def test_exceptions_in_ractors
    ractors = Array.new(3) do
      Ractor.new(times(300)) do |count|
        count.times.count do
          Boundary.yield_deep { Boundary.throw_cpp(:invalid_argument) }
        rescue ArgumentError
          true
        end
      end
    end
    assert_equal [times(300)] * 3, ractors.map { |ractor| result_of(ractor) }
  end

  def test_a_native_object_may_be_shared_if_it_says_so
    counter = Boundary::Counter.make
    refute Ractor.shareable?(counter)
    assert Ractor.shareable?(shareable(counter))
    ractors = Array.new(3) { Ractor.new(counter) { |shared| 100.times { shared.add } } }
    ractors.each { |ractor| await_end(ractor) }
    assert_equal 301, counter.add

    made = Boundary::Counter.make_shareable
    assert made.frozen? && Ractor.shareable?(made)
    assert_equal 1, result_of(Ractor.new(made) { |shared| shared.add })

    error = assert_raises(Ractor::Error) { shareable(Boundary::Box.make("x")) }
    assert_match(/Box/, error.message)
  end

  def test_an_object_that_cannot_be_passed_to_a_ractor_says_what_to_do
    { Boundary::Counter.make => /\Aa Boundary::Counter .* freeze it before it is passed to another Ractor/,
      Class.new(Boundary::Counter) { def self.name = "Derived" }.make => /freeze it/,
      Boundary::Box.make("x") => /\Aa Boundary::Box .* create one in each Ractor .* ruby_shareable/ }.each do |object, message|
      [-> { Ractor.new(object) { |copy| copy } }, -> { Ractor.new([object]) { |copy| copy } }, -> { object.dup },
       -> { object.class.allocate }, -> { object.class.new }, -> { Marshal.dump(object) }].each do |attempt|
        error = assert_raises(TypeError, Ractor::Error, &attempt)
        # A Ruby that copies by Marshal raises an error of its own, with this one as its cause.
        error = error.cause if error.is_a?(Ractor::Error)
        assert_match message, error.message
      end
    end
  end

  def test_a_native_object_cannot_be_made_empty_copied_or_confused
    assert_raises(TypeError, NoMethodError) { Boundary::Counter.new }
    assert_raises(TypeError) { Boundary::Counter.make.dup }
    assert_raises(TypeError) { Boundary::Counter.make.clone }
    ["text", 1, nil, Boundary::Box.make(1), Object.new].each do |other|
      assert_match(/wrong argument type/, assert_raises(TypeError) { Boundary.wrong_receiver(other) }.message)
    end
    assert_equal 0, Boundary.wrong_receiver(Boundary::Counter.make)
  end

  def test_what_a_native_object_holds_is_marked
    boxes = Array.new(times(2000)) { |i| Boundary::Box.make("content #{i}") }
    fresh = Array.new(times(2000)) { |i| Boundary::Box.fresh(i) }
    GC.start
    GC.compact if GC.respond_to?(:compact)
    expected = Array.new(times(2000)) { |i| "content #{i}" }
    assert_equal [expected, expected], [boxes.map(&:content), fresh.map(&:content)]
  end

  def test_the_destructor_of_a_native_object_runs
    times(2000).times { Boundary::Counter.make }
    GC.start
    # What the collector still sees on a stack is a handful.
    assert_operator Boundary.objects, :<, 100 if GC_MODE == "none"
  end

  def test_an_exception_in_the_extension_itself
    printed = child(<<~RUBY)
      $boundary_fails = true
      begin
        require "boundary"
      rescue LoadError => e
        puts e.message
      end
    RUBY
    assert_equal "not today\n", printed
  end
end
