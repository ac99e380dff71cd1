# frozen_string_literal: true

require "minitest/autorun"
require "open3"
require "rbconfig"
require "timeout"

Warning[:experimental] = false
Thread.report_on_exception = false

# Common to the tests of the headers: features of this Ruby, Ractors on every Ruby, child processes, GC modes.
class RubyTest < Minitest::Test
  # A major collection at every allocation would take minutes and find little more: unmarked objects die young.
  MINOR_AT_EACH_ALLOCATION = 1
  # "stress" collects at every allocation, "compact" moves objects at every major collection.
  GC_MODE = ENV.fetch("KINO_TEST_GC", "none")
  HEADER = File.read(File.join(RbConfig::CONFIG["rubyhdrdir"], "ruby/thread.h"))
  THREAD_EVENTS = HEADER.include?("INTERNAL_THREAD_EVENT_SUSPENDED")
  # On 3.3, threads of Ractors share a few native threads and cannot be pinned. There, and with unpinned threads on 3.4, a
  # program without kino hangs, too, if threads of two Ractors are repeatedly ended while they wait in rb_nogvl for a
  # condition variable.
  UNPINNED_THREADS = HEADER.include?("rb_internal_thread_specific_get") && !HEADER.include?("rb_thread_lock_native_thread")
  # Without kino, too, a child of a process with Ractors can crash in Ruby's allocator: when it starts Ractors and, in one
  # of several thousand runs, when it allocates after its first collection.
  CRASHING_CHILDREN = RUBY_VERSION >= "3.3" && RUBY_VERSION < "4.0"
  # Ruby 3.1 corrupts Hashes when it compacts by itself: a program without any extension that only starts processes
  # crashes there in one of some fifty runs.
  CAN_COMPACT = GC.respond_to?(:auto_compact=) && RUBY_VERSION >= "3.2"
  REQUIRE_IN_RACTORS = Ractor.respond_to?(:_require, true)

  def setup
    case GC_MODE
    when "stress" then GC.stress = MINOR_AT_EACH_ALLOCATION
    when "compact"
      skip "this Ruby cannot compact, or crashes when it does" unless CAN_COMPACT
      GC.auto_compact = true
    end
  end

  def teardown
    GC.stress = false
    GC.auto_compact = false if CAN_COMPACT
  end

  # The number of repetitions: `many`, or few if each allocation is a collection.
  def times(many)
    GC_MODE == "stress" ? [many / 200, 3].max : many
  end

  def shareable(object)
    Ractor.make_shareable(object)
  end

  # The return value of the Ractor's block.
  def result_of(ractor)
    ractor.respond_to?(:value) ? ractor.value : ractor.take
  end

  # Waits for the end of a Ractor, however it ended.
  def await_end(ractor)
    result_of(ractor)
  rescue Ractor::RemoteError
    nil
  end

  # Polls until the block is true; only ctest limits the time.
  def await
    Thread.pass until yield
  end

  # Waits until the thread blocks.
  def await_waiting(thread)
    await { thread.status == "sleep" || !thread.alive? }
  end

  # Runs Ruby code in another process with the same load path; returns what it printed. Only ctest limits the time.
  def child(code, *arguments, env: {})
    printed, status = Open3.capture2e(env, RbConfig.ruby, "-W:no-experimental", "-e", code, *arguments)
    assert status.success?, "the child ended with #{status}:\n#{printed}"
    printed
  end
end
