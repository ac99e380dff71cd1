# frozen_string_literal: true

require_relative "support/ruby_test"
require "boundary"

# Methods, exceptions in both directions, which run every destructor, and native objects.
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

  def test_methods_check_the_number_of_their_arguments
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

  def test_a_long_message_is_not_cut
    assert_equal "x" * 200_000, assert_raises(RuntimeError) { Boundary.throw_cpp(:long) }.message
  end

  # Every way to leave a block that C++ frames have called.
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

  def test_retry_and_ensure_work_across_cpp_frames
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

  # Ways to leave the innermost of many frames, and the result in the outermost.
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

  # The result of a plan, in a separate thread because it may be killed.
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

  def test_any_nesting_of_frames_unwinds_completely
    Boundary.extend(Ways)
    random = Random.new(Integer(ENV.fetch("SEED", "22")))
    times(3000).times do
      way = WAYS_OUT.keys.sample(random: random)
      plan = Array.new(random.rand(8)) { FRAMES.sample(random: random) } << way
      expected = WAYS_OUT[way]
      assert_equal [expected], [outcome_of(plan)], "with #{plan}"
      assert_equal 0, Boundary.frames, "frames remain with #{plan}"
    end
  end

  def test_a_handler_for_std_exception_does_not_catch_ruby_exceptions
    assert_raises(IOError) { Boundary.caught_as_std_exception? { raise IOError } }
    assert_equal :thrown, catch(:out) { Boundary.caught_as_std_exception? { throw :out, :thrown } }
    assert_nil Thread.new { Boundary.caught_as_std_exception? { Thread.current.kill } }.value
    assert_raises(Timeout::Error) { Timeout.timeout(0.01) { Boundary.caught_as_std_exception? { sleep } } }
  end

  def test_a_function_may_have_the_name_of_one_in_the_c_library
    assert Boundary.close
  end

  def test_exceptions_cross_the_boundary_in_ractors
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

  def test_a_native_object_declared_shareable_can_be_shared
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

  def test_the_error_about_an_object_that_ractors_cannot_share_says_what_to_do
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

  def test_a_native_object_cannot_be_allocated_copied_or_used_as_another_class
    assert_raises(TypeError, NoMethodError) { Boundary::Counter.new }
    assert_raises(TypeError) { Boundary::Counter.make.dup }
    assert_raises(TypeError) { Boundary::Counter.make.clone }
    ["text", 1, nil, Boundary::Box.make(1), Object.new].each do |other|
      assert_match(/wrong argument type/, assert_raises(TypeError) { Boundary.wrong_receiver(other) }.message)
    end
    assert_equal 0, Boundary.wrong_receiver(Boundary::Counter.make)
  end

  def test_the_contents_of_a_native_object_are_marked
    boxes = Array.new(times(2000)) { |i| Boundary::Box.make("content #{i}") }
    fresh = Array.new(times(2000)) { |i| Boundary::Box.fresh(i) }
    GC.start
    GC.compact if GC.respond_to?(:compact)
    expected = Array.new(times(2000)) { |i| "content #{i}" }
    assert_equal [expected, expected], [boxes.map(&:content), fresh.map(&:content)]
  end

  def test_the_destructor_of_a_native_object_runs
    skip "few objects are made if each allocation is a collection" if GC_MODE == "stress"
    2000.times { Boundary::Counter.make }
    GC.start
    # The collector is conservative about stacks and keeps a few.
    assert_operator Boundary.objects, :<, 100
  end

  def test_an_exception_in_the_init_function_is_raised_by_require
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
