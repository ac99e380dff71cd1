// SPDX-License-Identifier: MIT
//
// What the Ruby that an extension is compiled for can do, as constants, and stand-ins for what it cannot.

#pragma once

#include <kino/detail/ruby/headers.hpp>

#include <type_traits>

KINO_NAMESPACE_BEGIN

class gvl;  // gvl.hpp

/// Whether a Ruby thread can be pinned to its native thread (3.4): `pin_thread` does nothing otherwise.
///
/// The constants of this header are found out by the compiler, from Ruby's headers and without a
/// version number, so a later or a patched Ruby is judged by what it has. An extension that is
/// compiled for one Ruby is not loaded by another.
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

/// Whether Ruby wakes the main thread from native code for every signal: its timer thread does so
/// since 3.3, which brought the storage, too. Before, the waits of wait.hpp look for signals.
inline constexpr bool ruby_wakes_for_signals = ruby_has_thread_storage;

/// Whether Ruby says when a thread gives up its GVL and takes it back (3.2): run permits need that.
#ifdef RUBY_INTERNAL_THREAD_EVENT_SUSPENDED
inline constexpr bool ruby_has_thread_events = true;
#else
inline constexpr bool ruby_has_thread_events = false;
#endif

/// new_hash is `rb_hash_new_capa`: a Hash with room for `capacity` entries, where Ruby can (3.2).
/// Raises NoMemoryError: call it inside `kino::protect`, like Ruby's own functions.
[[nodiscard]] inline VALUE new_hash(gvl const&, long capacity) {
  using namespace kino_newer_ruby;
  return rb_hash_new_capa(capacity);
}

KINO_NAMESPACE_END
