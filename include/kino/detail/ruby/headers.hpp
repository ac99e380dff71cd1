// SPDX-License-Identifier: MIT
//
// The only file that includes <ruby.h>, and the one place where Ruby's versions differ.
//
// Functions that only newer Rubies have are declared here once more, as templates in a namespace
// of their own, with the same parameters. A call through `using namespace kino_newer_ruby` finds
// Ruby's function where there is one (of two equal matches the plain function is the better one;
// a template that deduced its parameters would match more closely) and the stand-in where there is
// none: features are detected by the compiler, without version numbers and without a configure
// step. The namespace lies outside kino because a using-directive makes names visible
// in the innermost namespace around both, which has to be the global one, where Ruby's are.

#pragma once

#include <kino/detail/config.hpp>

// Before Ruby's, whose macros rename functions of the C library.
#include <atomic>

#include <ruby.h>

#include <ruby/encoding.h>
#include <ruby/ractor.h>
#include <ruby/thread.h>
#include <ruby/vm.h>

// ruby.h defines names of the C library as macros; C++ code after it must not see them.
#undef accept
#undef bind
#undef close
#undef connect
#undef dup
#undef dup2
#undef fclose
#undef fopen
#undef getaddrinfo
#undef listen
#undef memcpy
#undef open
#undef read
#undef recv
#undef rename
#undef select
#undef send
#undef shutdown
#undef sleep
#undef socket
#undef stat
#undef snprintf
#undef vsnprintf
#undef write

// Exported for extensions (fiddle uses it), but in none of Ruby's headers. Weak: a Ruby without
// it loads the extension all the same.
extern "C" __attribute__((weak)) int ruby_thread_has_gvl_p(void);

namespace kino_newer_ruby __attribute__((visibility("hidden"))) {

struct absent {};

// 3.4: keeps a thread on its own native thread for good.
template <class None = void>
absent rb_thread_lock_native_thread() {
  return {};
}

// 3.2: a Hash with room.
template <class None = void>
VALUE rb_hash_new_capa(long) {
  return rb_hash_new();
}

// 3.3: what belongs to a thread, readable without the GVL.
template <class None = void>
int rb_internal_thread_specific_key_create() {
  return -1;
}
template <class None = void>
void* rb_internal_thread_specific_get(VALUE, int) {
  return nullptr;
}
template <class None = void>
absent rb_internal_thread_specific_set(VALUE, int, void*) {
  return {};
}

}  // namespace kino_newer_ruby

KINO_NAMESPACE_BEGIN
namespace detail {

// Whether the VM is gone: nothing may be asked of it then, and nothing needs its lock. Destructors
// of static objects run after that.
inline std::atomic<bool> ruby_has_ended{false};

/// Whether the calling thread is a Ruby thread that holds its Ractor's GVL.
inline bool holds_gvl() noexcept {
  // relaxed: it is set by the thread that runs static destructors later; others only pass.
  if (ruby_has_ended.load(std::memory_order_relaxed)) return false;
  if (!ruby_thread_has_gvl_p) return ruby_native_thread_p() != 0;
  return ruby_thread_has_gvl_p() != 0;
}

}  // namespace detail
KINO_NAMESPACE_END
