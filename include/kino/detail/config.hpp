// SPDX-License-Identifier: MIT
//
// The basis of every header: minimum compilers, the namespace, assertions.
//
// Ruby loads extensions with RTLD_GLOBAL, so two gems that include kino would share its inline
// variables and function-local statics. Three measures isolate them: the version is part of the
// namespace, the namespace is hidden, and the build helpers pass -fvisibility=hidden.

#pragma once

#include <kino/version.hpp>

#include <cstdio>
#include <cstdlib>

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

/// KINO_ASSERT(condition, rule) ends the program if a caller broke `rule`, a sentence that states the
/// rule and what to do instead. It is on in every build: Ruby's headers define NDEBUG, so that macro
/// does not express the intent of an extension's author. Each check costs a comparison or two.
/// Define KINO_NO_ASSERT to compile the checks out, or KINO_ASSERT itself to handle them.
#ifndef KINO_ASSERT
#ifdef KINO_NO_ASSERT
#define KINO_ASSERT(condition, rule) static_cast<void>(0)
#else
#define KINO_ASSERT(condition, rule)                                                     \
  ((condition) ? static_cast<void>(0)                                                    \
               : ::kino::detail::assertion_failed(#condition, rule, __FILE__, __LINE__))
#endif
#endif

KINO_NAMESPACE_BEGIN
namespace detail {

// The alignment that keeps two hot atomics on different cache lines, including the pair of lines
// that the adjacent-line prefetcher loads. It is a constant because the standard's value depends
// on compiler flags, so the layout could differ between translation units.
inline constexpr unsigned cache_line = 128;

/// Prints the broken rule and the location of the check, then aborts.
[[noreturn, gnu::cold, gnu::noinline]] inline void assertion_failed(char const* condition,
                                                                    char const* rule,
                                                                    char const* file,
                                                                    int line) noexcept {
  std::fprintf(stderr, "kino: broken rule: %s (%s:%d, %s)\n", rule, file, line, condition);
  std::fflush(stderr);
  std::abort();
}

}  // namespace detail
KINO_NAMESPACE_END
