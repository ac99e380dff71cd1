// SPDX-License-Identifier: MIT
//
// How a signal reaches the main thread in a native wait where Ruby does not see to that (before 3.3).
//
// Ruby's C handler only marks the main thread. Waking it is left to a Ruby thread that sleeps as the
// holder of Ruby's signal pipe, or waits for the GVL, and often there is none: Ruby starts one for
// a native wait only if the main thread is alone in its Ractor when the wait begins, and other
// sleepers do not take over from a holder that leaves. So the main thread's waits look for
// interrupts now and then; and where only a real interrupt may end the work, a Ruby thread is
// added that tries to become the holder now and then.

#pragma once

#include <kino/detail/deadline.hpp>
#include <kino/detail/ruby/headers.hpp>
#include <kino/ruby_features.hpp>

#include <chrono>

#include <unistd.h>

KINO_NAMESPACE_BEGIN
namespace detail {

// How late a signal may be there. Ruby's own timer thread of those versions is as slow.
inline constexpr std::chrono::milliseconds signal_period{100};

/// Whether the calling thread is the one that runs signal handlers, and has to look for them.
/// The main thread is the process's first one, in a forked child as well.
inline bool looks_for_signals() noexcept {
  if constexpr (ruby_wakes_for_signals) {
    return false;
  } else {
#ifdef __linux__
    return gettid() == getpid();
#else
    return rb_thread_current() == rb_thread_main();  // other Ractors' first threads look, too
#endif
  }
}

/// The deadline of the next sleep of a wait until `until`.
inline deadline next_look(deadline until) noexcept {
  if (!looks_for_signals()) return until;
  clock::time_point const look = clock::now() + signal_period;
  return until && *until < look ? until : deadline(look);
}

/// A signal_sleeper keeps one more thread asleep in Ruby while the main thread does native work.
///
/// Threads: construct and destroy it with the GVL. Nothing where Ruby needs none.
/// Errors:  without memory for the thread there is none: signals wait for the end of the work.
class signal_sleeper {
public:
  signal_sleeper() noexcept {
    if (!looks_for_signals()) return;
    thread_ = protected_call([](VALUE) { return start(); }, Qnil);
  }
  signal_sleeper(signal_sleeper const&) = delete;
  signal_sleeper& operator=(signal_sleeper const&) = delete;
  // It is told to end and not killed: it has its creator's Thread.handle_interrupt, which may
  // keep a kill waiting for ever.
  ~signal_sleeper() {
    if (NIL_P(thread_)) return;
    protected_call(
        [](VALUE thread) {
          rb_thread_local_aset(thread, done(), Qtrue);
          return rb_thread_wakeup_alive(thread);
        },
        thread_);
    RB_GC_GUARD(thread_);
  }

private:
  // What `function` returns; nil if it raised, with the exception forgotten and `$!` as before.
  static VALUE protected_call(VALUE (*function)(VALUE), VALUE argument) noexcept {
    VALUE const error = rb_errinfo();
    int failed = 0;
    VALUE const value = rb_protect(function, argument, &failed);
    if (!failed) return value;
    rb_set_errinfo(error);
    return Qnil;
  }
  static ID done() { return rb_intern("kino_signals_done"); }
  static VALUE start() {
    VALUE const thread = rb_thread_create(
        [](void*) -> VALUE {
          VALUE const self = rb_thread_current();
          while (NIL_P(rb_thread_local_aref(self, done()))) {
            rb_thread_wait_for({0, std::chrono::microseconds(signal_period).count()});
          }
          return Qnil;
        },
        nullptr);
    rb_funcall(thread, rb_intern("name="), 1, rb_str_new_cstr("kino signals"));
    return thread;
  }

  VALUE thread_ = Qnil;
};

}  // namespace detail
KINO_NAMESPACE_END
