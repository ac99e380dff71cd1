// SPDX-License-Identifier: MIT
//
// Connects Ruby's thread events to run_permits: a worker that releases its GVL lends its permit.

#pragma once

#include <kino/detail/ruby/headers.hpp>
#include <kino/ruby_features.hpp>
#include <kino/run_permits.hpp>

KINO_NAMESPACE_BEGIN
namespace detail {

/// A thread_permit is the permit that the current thread works under.
struct thread_permit {
  run_permits* permits = nullptr;
  run_permits::permit* permit = nullptr;
};

// Where a thread's thread_permit is stored. On a Ruby that cannot pin threads but moves them between native
// threads (3.3), in the Ruby thread; otherwise in the native thread, which is cheaper to read.
inline constexpr bool permits_belong_to_ruby_threads =
    !ruby_pins_threads && ruby_has_thread_storage;

#ifdef RUBY_INTERNAL_THREAD_EVENT_SUSPENDED

// The key of that place in the Ruby thread.
inline int& permit_key() {
  static int key = -1;
  return key;
}
inline thread_permit& native_permit() {
  static thread_local thread_permit mine;
  return mine;
}

// A template, because the event's data names the thread only on Rubies that have its storage.
template <class Data>
thread_permit const* permit_of(Data const& event) {
  if constexpr (permits_belong_to_ruby_threads) {
    using namespace kino_newer_ruby;
    return static_cast<thread_permit const*>(
        rb_internal_thread_specific_get(event.thread, permit_key()));
  } else {
    static_cast<void>(event);
    return &native_permit();
  }
}

// Ruby calls this on the thread concerned, with or without the GVL, with its scheduler's locks held:
// only leaf locks may be taken.
inline void on_thread_event(rb_event_flag_t event, rb_internal_thread_event_data_t const* data,
                            void*) {
  thread_permit const* const mine = permit_of(*data);
  if (!mine || !mine->permits) return;
  if (event == RUBY_INTERNAL_THREAD_EVENT_SUSPENDED) {
    mine->permits->lend(*mine->permit);
  } else {
    mine->permits->reclaim(*mine->permit);
  }
}

// Called once per extension, before the first worker: the key must exist before a second Ractor.
inline void hear_thread_events() {
  static bool const installed = [] {
    if constexpr (permits_belong_to_ruby_threads) {
      using namespace kino_newer_ruby;
      permit_key() = rb_internal_thread_specific_key_create();
    }
    rb_internal_thread_add_event_hook(
        &on_thread_event,
        RUBY_INTERNAL_THREAD_EVENT_SUSPENDED | RUBY_INTERNAL_THREAD_EVENT_RESUMED, nullptr);
    return true;
  }();
  static_cast<void>(installed);
}

// `mine` must not move until `leave_permit`.
inline void take_permit(thread_permit& mine) {
  if constexpr (permits_belong_to_ruby_threads) {
    using namespace kino_newer_ruby;
    rb_internal_thread_specific_set(rb_thread_current(), permit_key(), &mine);
  } else {
    native_permit() = mine;
  }
}
inline void leave_permit() {
  if constexpr (permits_belong_to_ruby_threads) {
    using namespace kino_newer_ruby;
    rb_internal_thread_specific_set(rb_thread_current(), permit_key(),
                                    static_cast<void*>(nullptr));
  } else {
    native_permit() = thread_permit{};
  }
}

#else

inline void hear_thread_events() {}
inline void take_permit(thread_permit&) {}
inline void leave_permit() {}

#endif

}  // namespace detail
KINO_NAMESPACE_END
