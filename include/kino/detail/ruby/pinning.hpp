// SPDX-License-Identifier: MIT
//
// Pinning of Ruby threads to their native threads.

#pragma once

#include <kino/detail/ruby/headers.hpp>
#include <kino/ruby_features.hpp>

#include <cstring>

#include <pthread.h>
#include <unistd.h>

KINO_NAMESPACE_BEGIN
namespace detail {

// Gives the native thread the name of its Ruby thread: a native thread inherits its creator's name,
// and Ruby renames only those that were never shared. May raise.
inline void name_native_thread() {
#ifdef __linux__
  if (gettid() == getpid()) return;  // its name is the process's
  VALUE name = rb_funcall(rb_thread_current(), rb_intern("name"), 0);
  if (NIL_P(name)) return;
  char text[16] = {};  // the maximum on Linux
  std::strncpy(text, StringValueCStr(name), sizeof text - 1);
  pthread_setname_np(pthread_self(), text);
#endif
}

inline bool was_shared(bool before_pinned) { return before_pinned; }
inline bool was_shared(kino_newer_ruby::absent) { return false; }  // a Ruby that does not pin

// Pins the current Ruby thread to its native thread, where Ruby supports it; returns whether other threads shared
// that one. Otherwise threads of non-main Ractors share a few native threads and starve each other in long waits.
// May raise.
inline bool pin_thread() {
  using namespace kino_newer_ruby;
  bool const shared = was_shared(rb_thread_lock_native_thread());
  if constexpr (ruby_pins_threads) name_native_thread();
  return shared;
}

// Ruby replaces a native thread that is no longer shared only when it creates a thread or a Ractor: without one, Ractors
// that are ready to run wait for ever once the last shared one is pinned. This Ractor only ends. A thread would not do: up
// to Ruby 4.0, while one of several threads of a Ractor ends on a shared native thread, a pinned one that blocks at that
// moment puts their Ractor into Ruby's run queue twice, and the damaged queue no longer runs any Ractor.
inline void replace_shared_thread() { rb_eval_string("Ractor.new { nil }"); }

// As pin_thread, and other Ractors may be waiting for a shared native thread. Ruby counts the calls, in an int, so
// each fiber pins once. May raise.
inline void pin_waiting_thread() {
  if constexpr (ruby_pins_threads) {
    VALUE const thread = rb_thread_current();
    ID const pinned = rb_intern("kino_pinned");
    if (!NIL_P(rb_thread_local_aref(thread, pinned))) return;
    bool const shared = pin_thread();
    rb_thread_local_aset(thread, pinned, Qtrue);
    if (shared) replace_shared_thread();
  }
}

}  // namespace detail
KINO_NAMESPACE_END
