// SPDX-License-Identifier: MIT
//
// The only file that includes <ruby.h>, and the only one with differences between Ruby versions.
//
// Functions that only newer Rubies have are also declared here, as templates with the same
// parameters in a separate namespace. A call through `using namespace kino_newer_ruby` finds Ruby's
// function if it exists, because a plain function is preferred over an equally good template; a
// template that deduced its parameters could match better. Otherwise the call finds the stand-in.
// The compiler thus detects features without version numbers or a configure step. The namespace is
// outside kino because a using-directive makes names visible in the innermost namespace around
// both, which must be the global one, where Ruby's are.

#pragma once

#include <kino/detail/blocking.hpp>
#include <kino/detail/config.hpp>

// Included before Ruby's headers, whose macros rename functions of the C library.
#include <atomic>

#include <ruby.h>

// ruby/ractor.h declares it within a function, without C linkage, unless it is known before.
extern "C" bool rb_ractor_shareable_p_continue(VALUE object);

#include <ruby/encoding.h>
#include <ruby/ractor.h>
#include <ruby/thread.h>
#include <ruby/version.h>
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

// Exported for extensions (fiddle uses it), but not declared in Ruby's headers. Weak, so a Ruby
// without it can still load the extension.
extern "C" __attribute__((weak)) int ruby_thread_has_gvl_p(void);

namespace kino_newer_ruby __attribute__((visibility("hidden"))) {

struct absent {};

// 3.4: pins a thread to its native thread permanently.
template <class None = void>
absent rb_thread_lock_native_thread() {
  return {};
}

// 3.2: creates a Hash with a capacity.
template <class None = void>
VALUE rb_hash_new_capa(long) {
  return rb_hash_new();
}

// 3.3: thread-specific data, readable without the GVL.
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

/// Whether the calling thread is a Ruby thread that holds its Ractor's GVL.
inline bool holds_gvl() noexcept {
  // relaxed: the thread that sets it is the one that later runs static destructors.
  if (ruby_has_ended.load(std::memory_order_relaxed)) return false;
  if (!ruby_thread_has_gvl_p) return ruby_native_thread_p() != 0;
  return ruby_thread_has_gvl_p() != 0;
}

/// Called where a `gvl const&` is relied on: the token cannot know that its call is over, or that another
/// thread has got hold of it, and Ruby would crash without saying why.
inline void expect_gvl() noexcept {
  KINO_ASSERT(holds_gvl(),
              "a gvl const& is used only within the call that received it, by the thread that holds the GVL: "
              "hand work to a Ruby thread with a channel or a dispatcher");
}

}  // namespace detail
KINO_NAMESPACE_END
