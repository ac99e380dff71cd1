// SPDX-License-Identifier: MIT
//
// Whether this build has ThreadSanitizer. A constant, not a macro: using it without this header is an error.

#pragma once

#if defined(__has_feature)
#define KINO_TEST_HAS_FEATURE(name) __has_feature(name)
#else
#define KINO_TEST_HAS_FEATURE(name) 0
#endif

#if defined(__SANITIZE_THREAD__) || KINO_TEST_HAS_FEATURE(thread_sanitizer)
inline constexpr bool under_thread_sanitizer = true;
#else
inline constexpr bool under_thread_sanitizer = false;
#endif

#undef KINO_TEST_HAS_FEATURE
