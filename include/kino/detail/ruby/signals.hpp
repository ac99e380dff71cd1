// SPDX-License-Identifier: MIT
//
// Delivers signals to the main thread in a native wait where Ruby does not (before 3.3).
//
// Ruby's C handler only marks the main thread. Another Ruby thread must wake it: one that sleeps as
// the holder of Ruby's signal pipe, or one that waits for the GVL. Often there is none. Ruby starts
// one for a native wait only if the main thread is alone in its Ractor when the wait begins, and
// other sleepers do not take over from a holder that leaves. Therefore the main thread's waits check
// for interrupts periodically. Where only a real interrupt may end the work, we add a Ruby thread
// that periodically tries to become the holder.

#pragma once

#include <kino/detail/deadline.hpp>
#include <kino/detail/ruby/headers.hpp>
#include <kino/ruby_features.hpp>

#include <chrono>

#include <unistd.h>

KINO_NAMESPACE_BEGIN
namespace detail {

// The maximum delay of a signal. Ruby's own timer thread of those versions is as slow.
inline constexpr std::chrono::milliseconds signal_period{100};

/// Whether the calling thread is the one that runs signal handlers, and must check for signals. The
/// main thread is the first one of the process, in a forked child as well.
inline bool looks_for_signals() noexcept {
  if constexpr (ruby_wakes_for_signals) {
    return false;
  } else {
#ifdef __linux__
    return gettid() == getpid();
#else
    return rb_thread_current() == rb_thread_main();  // the first threads of other Ractors check, too
#endif
  }
}

/// The deadline of the next sleep of a wait until `until`.
inline deadline next_look(deadline until) noexcept {
  if (!looks_for_signals()) return until;
  clock::time_point const look = clock::now() + signal_period;
  return until && *until < look ? until : deadline(look);
}

/// A signal_sleeper keeps an additional thread asleep in Ruby while the main thread does native
/// work.
///
/// Threads: construct and destroy it with the GVL held. It does nothing where Ruby does not need it.
/// Errors:  if there is no memory for the thread, signals are delivered at the end of the work.
class signal_sleeper {
public:
  signal_sleeper() noexcept {
    if (!looks_for_signals()) return;
    thread_ = protected_call([](VALUE) { return start(); }, Qnil);
  }
  signal_sleeper(signal_sleeper const&) = delete;
  signal_sleeper& operator=(signal_sleeper const&) = delete;
  // It is asked to end, not killed: it inherits its creator's Thread.handle_interrupt, which may
  // defer a kill forever.
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
  // Returns the result of `function`; nil if it raised. Discards the exception and restores `$!`.
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
