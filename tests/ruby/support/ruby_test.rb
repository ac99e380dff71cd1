# frozen_string_literal: true

require "minitest/autorun"
require "open3"
require "rbconfig"
require "timeout"

Warning[:experimental] = false
Thread.report_on_exception = false

# Shared by the tests of the headers: features of a Ruby, Ractors on every Ruby, child processes, GC modes.
class RubyTest < Minitest::Test
  # Major collections at every allocation would take minutes and find little more: what is not marked dies young.
  MINOR_AT_EACH_ALLOCATION = 1
  # "stress" collects at every allocation, "compact" moves what may move at every major collection.
  GC_MODE = ENV.fetch("KINO_TEST_GC", "none")
  HEADER = File.read(File.join(RbConfig::CONFIG["rubyhdrdir"], "ruby/thread.h"))
  THREAD_EVENTS = HEADER.include?("INTERNAL_THREAD_EVENT_SUSPENDED")
  # Threads of Ractors share a few native ones and cannot be pinned to one of their own (3.3). There, and for unpinned
  # threads of 3.4, a program hangs as soon as threads of two Ractors are ended again and again while they wait in
  # rb_nogvl, for nothing more than a condition variable: no part of kino is needed.
  UNPINNED_THREADS = HEADER.include?("rb_internal_thread_specific_get") && !HEADER.include?("rb_thread_lock_native_thread")
  # A child of a process with Ractors can crash in Ruby's allocator, without kino, too: when it starts Ractors of its own
  # and, one in some thousand, in what it allocates after its first collection.
  CRASHING_CHILDREN = RUBY_VERSION >= "3.3" && RUBY_VERSION < "4.0"
  REQUIRE_IN_RACTORS = Ractor.respond_to?(:_require, true)

  def setup
    case GC_MODE
    when "stress" then GC.stress = MINOR_AT_EACH_ALLOCATION
    when "compact"
      skip "this Ruby cannot compact" unless GC.respond_to?(:auto_compact=)
      GC.auto_compact = true
    end
  end

  def teardown
    GC.stress = false
    GC.auto_compact = false if GC.respond_to?(:auto_compact=)
  end

  # How many times to do what is done many times: few where each allocation is a collection.
  def times(many)
    GC_MODE == "stress" ? [many / 200, 3].max : many
  end

  def shareable(object)
    Ractor.make_shareable(object)
  end

  # What the Ractor's block returned.
  def result_of(ractor)
    ractor.respond_to?(:value) ? ractor.value : ractor.take
  end

  # Waits for the end of a Ractor, however it ended.
  def await_end(ractor)
    result_of(ractor)
  rescue Ractor::RemoteError
    nil
  end

  # Waits until something that is under way has happened; the limit is that of the whole test.
  def await
    Thread.pass until yield
  end

  # A thread that waits in native code, or for a lock.
  def await_waiting(thread)
    await { thread.status == "sleep" || !thread.alive? }
  end

  # Runs Ruby code in a process of its own, which has the same load path; returns what it printed. The caller's
  # ctest limit is the only one: a child that hangs is a failure.
  def child(code, *arguments, env: {})
    printed, status = Open3.capture2e(env, RbConfig.ruby, "-W:no-experimental", "-e", code, *arguments)
    assert status.success?, "the child ended with #{status}:\n#{printed}"
    printed
  end
end
