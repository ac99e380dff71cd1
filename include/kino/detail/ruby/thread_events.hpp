// SPDX-License-Identifier: MIT
//
// Connects Ruby's thread events to a worker's permit and memberships: a worker that releases its GVL lends its permit,
// and the memberships of a thread end with it.

#pragma once

#include <kino/detail/ruby/headers.hpp>
#include <kino/detail/ruby/memberships.hpp>
#include <kino/gvl.hpp>
#include <kino/ruby_features.hpp>

#include <utility>

KINO_NAMESPACE_BEGIN
namespace detail {

/// Whether thread events, and not the end of the native thread, report that a Ruby thread has ended.
inline constexpr bool events_end_memberships = ruby_has_thread_events && !ruby_pins_threads;

#ifdef RUBY_INTERNAL_THREAD_EVENT_SUSPENDED

// The record of the Ruby thread that was the last to suspend on this native thread, if threads have records.
inline thread_record*& suspended_here() {
  static thread_local thread_record* record = nullptr;
  return record;
}

// A template, because the event's data names the thread only on Rubies that have its storage.
template <class Data>
thread_permit const* permit_of(rb_event_flag_t event, Data const* data) {
  if constexpr (threads_change_native_threads) {
    thread_record* const record = record_of(data->thread);
    if (event == RUBY_INTERNAL_THREAD_EVENT_SUSPENDED) suspended_here() = record;
    return record ? &record->permit : nullptr;
  } else {
    return &permit_of_this_thread();
  }
}

// A Ruby thread suspends and ends without an event in between. The object of a thread that has suspended for the last
// time may already be collected, from another Ractor: its storage must not be read.
inline void on_thread_exit() noexcept {
  if constexpr (threads_change_native_threads) {
    thread_record* const record = std::exchange(suspended_here(), nullptr);
    if (!record) return;
    record->joined.end_elsewhere();
    delete record;
  } else {
    permit_of_this_thread() = thread_permit{};
    memberships_of_this_thread().end_elsewhere();
  }
}

// Ruby calls this on the thread concerned, with or without the GVL, with its scheduler's locks held:
// only leaf locks may be taken.
inline void on_thread_event(rb_event_flag_t event, rb_internal_thread_event_data_t const* data,
                            void*) {
  if (event == RUBY_INTERNAL_THREAD_EVENT_EXITED) return on_thread_exit();
  thread_permit const* const mine = permit_of(event, data);
  if (!mine || !mine->permits) return;
  if (event == RUBY_INTERNAL_THREAD_EVENT_SUSPENDED) {
    mine->permits->lend(*mine->permit);
  } else {
    mine->permits->reclaim(*mine->permit);
  }
}

// Called once per extension, before the first worker. Throws ruby_error (ThreadError) if a key is needed and Ruby has
// none left, or already has a second Ractor.
inline void hear_thread_events() {
  static bool const installed = [] {
    if constexpr (threads_change_native_threads) {
      protect_unchecked([] {
        using namespace kino_newer_ruby;
        record_key() = rb_internal_thread_specific_key_create();
      });
    }
    rb_internal_thread_add_event_hook(
        &on_thread_event,
        RUBY_INTERNAL_THREAD_EVENT_SUSPENDED | RUBY_INTERNAL_THREAD_EVENT_RESUMED |
            (events_end_memberships ? RUBY_INTERNAL_THREAD_EVENT_EXITED : 0),
        nullptr);
    return true;
  }();
  static_cast<void>(installed);
}

#else

inline void hear_thread_events() {}

#endif

}  // namespace detail
KINO_NAMESPACE_END
