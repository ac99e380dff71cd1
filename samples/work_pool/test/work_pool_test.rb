# frozen_string_literal: true

require "minitest/autorun"
require "open3"
require "rbconfig"
require "work_pool"

# Each test's name is printed immediately before it runs, so a test that hangs can be identified.
$stdout.sync = true
ARGV << "--verbose"

# WorkPool.map with each backend, and when inputs, workers or requests are faulty.
class WorkPoolTest < Minitest::Test
  BACKENDS = %i[sequential ractor fork].freeze

  class Tally
    attr_reader :state

    def initialize(limit = 0)
      raise ArgumentError, "no limit below 0" if limit.negative?

      @limit = limit
      @state = { seen: 0 }
    end

    def over?(number)
      @state[:seen] += 1
      number > @limit
    end
  end

  # The blocks are in a module: a Ruby without shareable_proc sends a block's self with it.
  module Blocks
    def self.squares(numbers, **options, &progress)
      WorkPool.map(numbers, progress: progress, **options) { |_, number| number * number }
    end

    def self.over(numbers, limit, **options)
      WorkPool.map(numbers, session: Tally, configuration: limit, **options) { |tally, number| tally.over?(number) }
    end

    def self.raising(numbers, **options)
      WorkPool.map(numbers, **options) do |_, number|
        case number
        when 1 then raise ArgumentError, "one"
        when 2 then raise NotImplementedError, "two"
        when 3 then exit
        when 4 then throw :four
        else number
        end
      end
    end

    def self.upcase(words, **options)
      WorkPool.map(words, **options) { |_, word| word.frozen? ? word.upcase : "not frozen" }
    end

    # The first one waits until a byte can be read from the pipe, so that all others finish before it.
    def self.first_one_last(count, descriptor, **options)
      WorkPool.map(0...count, workers: 2, head_start: 0, **options) do |_, number|
        IO.for_fd(descriptor, autoclose: false).read(1) if number.zero?
        number
      end
    end

    def self.full_marks(numbers, **options)
      WorkPool.map(numbers, workers: 2, head_start: 0, **options) { GC.config[:rgengc_allow_full_mark] }
    end

    def self.class_variable(numbers, **options)
      WorkPool.map(numbers, head_start: 0, **options) { |_, number| [UNSHAREABLE.size, number] }
    end

    def self.ending_their_worker(numbers, **options)
      WorkPool.map(numbers, workers: 2, head_start: 0, **options) do |_, number|
        Thread.current.kill if number == 2
        number
      end
    end

    def self.dying(numbers, **options)
      WorkPool.map(numbers, workers: 2, head_start: 0, backend: :fork, **options) do |_, number|
        Process.kill(:KILL, Process.pid) if number == 2
        number
      end
    end
  end
  UNSHAREABLE = [+"not shareable"]

  BACKENDS.each do |backend|
    define_method("test_#{backend}_returns_results_in_the_order_of_the_inputs") do
      result = Blocks.squares(1..100, backend: backend, workers: 3, head_start: 0)
      assert_equal((1..100).map { |number| number * number }, result.values)
      assert_equal [backend, nil], [result.backend, result.reason]
      assert_equal result.values, result.to_a
    end

    define_method("test_#{backend}_maps_no_inputs_to_no_results") do
      assert_equal [], Blocks.squares([], backend: backend, head_start: 0).values
    end

    define_method("test_#{backend}_returns_exceptions_as_failures") do
      result = Blocks.raising(0..6, backend: backend, head_start: 0)
      assert_equal [0, 5, 6], result.values.grep(Integer)
      assert_equal %w[ArgumentError NotImplementedError SystemExit UncaughtThrowError], result.failures.map(&:error_class)
      assert_equal %w[one two], result.failures.map(&:message).first(2)
      assert_match(/work_pool_test\.rb:\d+/, result.failures.first.backtrace.first)
    end

    define_method("test_#{backend}_merges_the_states_of_all_sessions") do
      sum = proc { |one, other| one.merge(other) { |_, here, there| here + there } }
      result = Blocks.over(1..50, 40, backend: backend, workers: 4, merge: sum, head_start: 0)
      assert_equal 10, result.count(true)
      assert_equal({ seen: 50 }, result.state)
    end

    define_method("test_#{backend}_passes_frozen_copies_to_blocks_and_leaves_the_originals_unchanged") do
      words = [+"one", +"two"]
      assert_equal %w[ONE TWO], Blocks.upcase(words, backend: backend, head_start: 0).values
      refute words.any?(&:frozen?)
    end

    define_method("test_#{backend}_reports_progress_in_the_callers_thread") do
      seen = []
      here = Thread.current
      Blocks.squares(1..20, backend: backend, head_start: 0) { |done, all| seen << [done, all, Thread.current == here] }
      assert_equal((1..20).map { |done| [done, 20, true] }, seen)
    end

    define_method("test_#{backend}_propagates_exceptions_from_progress") do
      assert_raises(IOError) { Blocks.squares(1..1000, backend: backend, head_start: 0) { raise IOError } }
    end

    define_method("test_#{backend}_raises_if_a_session_cannot_be_created") do
      expected = backend == :ractor ? WorkPool::Unfit : ArgumentError
      expected = WorkPool::Unfit if backend == :fork
      error = assert_raises(expected) { Blocks.over(1..3, -1, backend: backend, head_start: 0) }
      assert_includes error.message, "no limit below 0"
    end

    next if backend == :sequential

    define_method("test_#{backend}_hands_inputs_out_one_at_a_time") do
      reader, writer = IO.pipe
      seen = []
      progress = lambda do |done, all|
        seen << done
        writer.write("x") if done == all - 1 # only the first is missing
      end
      assert_equal (0...20).to_a, Blocks.first_one_last(20, reader.fileno, backend: backend, progress: progress).values
      assert_equal (1..20).to_a, seen
    end

    { timeout: "Timeout::Error", kill: "ended", raise: "IOError" }.each do |how, outcome|
      define_method("test_#{backend}_is_ended_by_#{how}") do
        output, status = Open3.capture2(RbConfig.ruby, "-W:no-experimental", *$LOAD_PATH.flat_map { |path| ["-I", path.to_s] },
          File.join(__dir__, "endless.rb"), backend.to_s, how.to_s)
        assert_equal [outcome, 0], [output.chomp, status.exitstatus]
      end
    end
  end

  def skip_without_shared_heap
    skip "this Ruby's collector cannot be configured" unless GC.respond_to?(:config)
    skip "each Ractor has its own heap" unless WorkPool::Marking.shared_heap?
  end

  def test_where_each_ractor_has_its_own_heap_the_collector_is_not_restricted
    skip "this Ruby's collector cannot be configured" unless GC.respond_to?(:config)
    skip "all Ractors share one heap" if WorkPool::Marking.shared_heap?
    assert_equal [true] * 4, Blocks.full_marks(1..4, backend: :ractor).values
    WorkPool::Marking.young_only do |limit|
      assert_nil limit
      assert GC.config[:rgengc_allow_full_mark]
    end
  end

  def test_shared_heap_is_detected
    before = GC.count
    ractor = WorkPool::Ractors.silently { Ractor.new { 3.times { GC.start } } }
    WorkPool::Ractors.value_of(ractor)
    assert_equal GC.count - before >= 3, WorkPool::Marking.shared_heap?
  end

  def test_while_ractors_work_only_young_objects_are_marked
    skip_without_shared_heap
    assert_equal [false] * 4, Blocks.full_marks(1..4, backend: :ractor).values
    assert GC.config[:rgengc_allow_full_mark]
    assert_raises(IOError) { Blocks.full_marks(1..4, backend: :ractor, progress: proc { raise IOError }) }
    assert GC.config[:rgengc_allow_full_mark]
  end

  def test_a_heap_beyond_its_bound_is_fully_marked_again
    skip_without_shared_heap
    WorkPool::Marking.young_only do |limit|
      WorkPool::Marking.keep_to(limit)
      refute GC.config[:rgengc_allow_full_mark]
      WorkPool::Marking.keep_to(0)
      assert GC.config[:rgengc_allow_full_mark]
    end
  end

  def test_a_program_that_has_disabled_full_marking_keeps_that_setting
    skip_without_shared_heap
    GC.config(rgengc_allow_full_mark: false)
    assert_equal [false], Blocks.full_marks(1..1, backend: :ractor).values
    refute GC.config[:rgengc_allow_full_mark]
  ensure
    GC.config(rgengc_allow_full_mark: true) if GC.respond_to?(:config)
  end

  def test_a_block_that_violates_isolation_is_run_by_processes_and_the_reason_is_reported
    result = Blocks.class_variable(1..4)
    assert_equal [[1, 1], [1, 2], [1, 3], [1, 4]], result.values
    assert_equal :fork, result.backend
    assert_match(/\Aractor: Ractor::IsolationError: .*UNSHAREABLE.*work_pool_test\.rb:\d+/, result.reason)
  end

  def test_a_block_that_violates_isolation_fails_if_ractors_were_requested
    result = Blocks.class_variable(1..2, backend: :ractor)
    assert_equal ["Ractor::IsolationError"] * 2, result.failures.map(&:error_class)
  end

  def test_a_block_that_captures_an_unshareable_variable_does_not_run_in_ractors
    counts = Hash.new(0)
    line = __LINE__ + 1
    block = proc { |_, number| number + counts.size }
    result = WorkPool.map(1..3, head_start: 0, &block)
    assert_equal [:fork, [1, 2, 3]], [result.backend, result.values]
    assert_includes result.reason, "#{__FILE__}:#{line}: the block uses counts, a Hash, which is not shareable"
    error = assert_raises(WorkPool::Unfit) { WorkPool.map(1..3, backend: :ractor, &block) }
    assert_includes error.message, "counts"
  end

  def test_inputs_that_cannot_be_copied_are_processed_by_forked_workers
    result = WorkPool.map([[1, { lock: Mutex.new }]], head_start: 0) { |_, input| input.last[:lock].locked? }
    assert_equal [:fork, [false]], [result.backend, result.values]
    assert_includes result.reason, "inputs[0][1][:lock]: "
  end

  def test_the_audit_names_variables_self_and_paths
    log = $stderr
    counter = 0
    block = proc do |_, number|
      [number].each { counter += 1 }
      log.puts(@prefix)
    end
    findings = WorkPool.audit(block, configuration: { "sinks" => [Thread.current] })
    first = block.source_location.last
    assert_includes findings, "#{__FILE__}:#{first + 1}: the block assigns counter, a variable from outside it"
    assert_includes findings, "#{__FILE__}:#{first + 2}: the block uses log, an IO, which is not shareable"
    assert_includes findings, 'configuration["sinks"][0]: a Thread cannot be shared or copied'
    assert(findings.any? { |finding| finding.match?(/self, a WorkPoolTest,/) })
  end

  def test_the_audit_finds_nothing_in_a_shareable_block
    block = Blocks.instance_exec do
      factor = 3
      proc { |_, number| (1..number).map { |n| n * factor }.sum }
    end
    assert_empty WorkPool.audit(block, configuration: { limit: 1..3 })
  end

  def test_a_ractor_that_ends_itself_loses_only_its_own_results
    result = Blocks.ending_their_worker(0...10, backend: :ractor)
    lost = result.failures
    assert_equal 10, lost.size + result.values.grep(Integer).size
    assert_equal ["WorkPool::WorkerLost"], lost.map(&:error_class).uniq
    assert_kind_of WorkPool::Failure, result.values[2]
  end

  def test_a_process_that_dies_loses_only_its_current_input
    result = Blocks.dying(0...10)
    assert_equal [0, 1, 3, 4, 5, 6, 7, 8, 9], result.values.grep(Integer)
    assert_equal "its worker ended: SIGKILL (signal 9)", result.values[2].message
  end

  def test_a_small_job_is_done_by_the_caller_alone
    result = Blocks.squares(1..10)
    assert_equal [:sequential, "done within the head start"], [result.backend, result.reason]
  end

  def test_a_map_leaves_no_child_processes_behind
    Blocks.squares(1..10, backend: :fork, head_start: 0)
    assert_raises(Errno::ECHILD) { Process.wait }
  end

  # Where fork does not lock the VM, a Ractor that had not quite ended sometimes made the next child hang.
  unless WorkPool::Ractors::FORK_LOCKS
    def test_a_map_leaves_no_ractors_behind
      20.times do
        before = Ractor.count
        Blocks.squares(1..8, backend: :ractor, workers: 4, head_start: 0)
        assert_operator Ractor.count, :<=, before
      end
    end
  end

  def test_processes_are_forked_beside_running_ractors_only_where_ruby_supports_it
    ractor = Ractor.new { Ractor.receive }
    if WorkPool::Ractors::FORK_LOCKS
      assert_equal [1, 4, 9], Blocks.squares(1..3, backend: :fork, head_start: 0).values
    else
      error = assert_raises(WorkPool::Unfit) { Blocks.squares(1..3, backend: :fork, head_start: 0) }
      assert_match(/other Ractors are running \(\d+\)/, error.message)
    end
  ensure
    ractor << nil
    ractor.respond_to?(:join) ? ractor.join : ractor.take
  end

  def test_invalid_arguments_are_rejected
    assert_raises(ArgumentError) { WorkPool.map([1]) }
    assert_raises(ArgumentError) { Blocks.squares([1], workers: 0) }
    assert_raises(ArgumentError) { Blocks.squares([1], backend: :threads) }
  end
end
