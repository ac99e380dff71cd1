// SPDX-License-Identifier: MIT
//
// ruby_features: constants for the features of the Ruby that an extension is compiled for.

#pragma once

#include <kino/detail/ruby/headers.hpp>

#include <type_traits>

KINO_NAMESPACE_BEGIN

class gvl;  // gvl.hpp

/// Whether a Ruby thread can be pinned to its native thread (3.4); otherwise `pin_thread` does
/// nothing.
///
/// The compiler determines the constants of this header from Ruby's headers, without version
/// numbers, so they are also right for a later or a patched Ruby. An extension compiled for one
/// Ruby is not loaded by another.
///
/// Threads: any.
/// GVL:     not needed by the constants.
///
/// Example (needs Ruby):
///
///     if constexpr (!kino::ruby_has_thread_events) rb_warn("run permits need Ruby 3.2");
///     VALUE env = kino::protect(held, [&] { return kino::new_hash(held, 20); });
///
inline constexpr bool ruby_pins_threads = [] {
  using namespace kino_newer_ruby;
  return !std::is_same_v<decltype(rb_thread_lock_native_thread()),
                         kino_newer_ruby::absent>;
}();

/// Whether a Ruby thread can carry data that is read without the GVL (3.3).
inline constexpr bool ruby_has_thread_storage = [] {
  using namespace kino_newer_ruby;
  return std::is_void_v<decltype(rb_internal_thread_specific_set(VALUE{}, 0, nullptr))>;
}();

/// Whether Ruby wakes the main thread from native code for every signal. Its timer thread does so
/// since 3.3, which also introduced the storage. Before, the waits of wait.hpp check for signals.
inline constexpr bool ruby_wakes_for_signals = ruby_has_thread_storage;

/// Whether Ruby reports when a thread releases and reacquires its GVL (3.2); run permits need this.
#ifdef RUBY_INTERNAL_THREAD_EVENT_SUSPENDED
inline constexpr bool ruby_has_thread_events = true;
#else
inline constexpr bool ruby_has_thread_events = false;
#endif

/// new_hash creates a Hash, with room for `capacity` entries where Ruby supports it (3.2,
/// `rb_hash_new_capa`). It may raise NoMemoryError: call it inside `kino::protect`, like Ruby's own
/// functions.
[[nodiscard]] inline VALUE new_hash(gvl const&, long capacity) {
  using namespace kino_newer_ruby;
  return rb_hash_new_capa(capacity);
}

KINO_NAMESPACE_END
