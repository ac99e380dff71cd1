# frozen_string_literal: true

require_relative "support/ruby_test"
require "boundary"

# Methods, exceptions in both directions with every destructor run, native objects.
class BoundaryTest < RubyTest
  CPP = {
    invalid_argument: [ArgumentError, "an argument"], out_of_range: [IndexError, "an index"],
    bad_alloc: [NoMemoryError, /bad_alloc/], runtime_error: [RuntimeError, "anything"],
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

    error = assert_raises(Ractor::Error) { shareable(Boundary::Box.make("x")) }
    assert_match(/Box/, error.message)
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
