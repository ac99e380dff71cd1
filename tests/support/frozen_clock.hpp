// SPDX-License-Identifier: MIT
//
// Lets the time of coarse_now stand still. For one file of a program, which is linked with --wrap=clock_gettime and compiled with
// KINO_TEST_FREEZES_TIME. Without them, as on systems that have no coarse clock, time goes on.

#pragma once

#include <ctime>
#include <optional>

#if defined(KINO_TEST_FREEZES_TIME) && defined(CLOCK_MONOTONIC_COARSE)

namespace http2_test {

inline std::optional<timespec>& frozen_time() {
  static std::optional<timespec> time;
  return time;
}

}  // namespace http2_test

extern "C" {
int __real_clock_gettime(clockid_t which, timespec* into);
int __wrap_clock_gettime(clockid_t which, timespec* into) {
  if (auto const& time = http2_test::frozen_time(); time && which == CLOCK_MONOTONIC_COARSE) {
    *into = *time;
    return 0;
  }
  return __real_clock_gettime(which, into);
}
}

#endif

namespace http2_test {

/// While a frozen_clock exists, coarse_now does not change. What a client may do in some time then does not depend on
/// how fast the test runs. Threads: one.
class frozen_clock {
public:
#if defined(KINO_TEST_FREEZES_TIME) && defined(CLOCK_MONOTONIC_COARSE)
  frozen_clock() {
    timespec now{};
    __real_clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    frozen_time() = now;
  }
  ~frozen_clock() { frozen_time().reset(); }
#else
  frozen_clock() = default;
  ~frozen_clock() {}  // not trivial: the object has a use
#endif
  frozen_clock(frozen_clock const&) = delete;
};

}  // namespace http2_test
