// SPDX-License-Identifier: MIT
//
// What every header rests on: the compiler floor, the namespace with its guards, assertions.
//
// Ruby loads extensions with RTLD_GLOBAL, so two gems that include kino would share its inline
// variables and function-local statics. Three guards keep them apart: the version is part of
// the namespace, the namespace is hidden, and the build helpers pass -fvisibility=hidden.

#pragma once

#include <kino/version.hpp>

#if __cplusplus < 202002L
#error "kino needs C++20: compile with -std=c++20 or later"
#endif
#if defined(__clang__)
#if __clang_major__ < 14
#error "kino needs clang 14 or later"
#endif
#elif defined(__GNUC__)
#if __GNUC__ < 12
#error "kino needs g++ 12 or later"
#endif
#endif

#define KINO_DETAIL_JOIN_OF(a, b, c, d) a##b##c##d
#define KINO_DETAIL_JOIN(a, b, c, d) KINO_DETAIL_JOIN_OF(a, b, c, d)
#define KINO_DETAIL_ABI KINO_DETAIL_JOIN(v, KINO_VERSION_MAJOR, _, KINO_VERSION_MINOR)

#define KINO_NAMESPACE_BEGIN                                                             \
  namespace kino __attribute__((visibility("hidden"))) {                                 \
  inline namespace KINO_DETAIL_ABI {
#define KINO_NAMESPACE_END                                                               \
  }                                                                                      \
  }

/// KINO_ASSERT(condition) stops the program where a precondition is broken; empty under NDEBUG.
#ifndef KINO_ASSERT
#include <cassert>
#define KINO_ASSERT(condition) assert(condition)
#endif

KINO_NAMESPACE_BEGIN
namespace detail {

// The distance that keeps two hot atomics off one cache line (and off the line that the
// adjacent-line prefetcher pairs it with). A constant, because the standard's own value
// changes with compiler flags and would change the layout between translation units.
inline constexpr unsigned cache_line = 128;

}  // namespace detail
KINO_NAMESPACE_END
