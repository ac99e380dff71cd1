// SPDX-License-Identifier: MIT
//
// Lets the time of coarse_now stand still. For one file of a program, which is linked with --wrap=clock_gettime.

#pragma once

#include <ctime>
#include <optional>

namespace http2_test {

inline std::optional<timespec>& frozen_time() {
  static std::optional<timespec> time;
  return time;
}

}  // namespace http2_test

extern "C" {
int __real_clock_gettime(clockid_t which, timespec* into);
int __wrap_clock_gettime(clockid_t which, timespec* into) {
#ifdef CLOCK_MONOTONIC_COARSE
  if (auto const& time = http2_test::frozen_time(); time && which == CLOCK_MONOTONIC_COARSE) {
    *into = *time;
    return 0;
  }
#endif
  return __real_clock_gettime(which, into);
}
}

namespace http2_test {

/// While a frozen_clock exists, coarse_now does not change. What a client may do in some time then does not depend on
/// how fast the test runs. Threads: one.
class frozen_clock {
public:
  frozen_clock() {
#ifdef CLOCK_MONOTONIC_COARSE
    timespec now{};
    __real_clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    frozen_time() = now;
#endif
  }
  frozen_clock(frozen_clock const&) = delete;
  ~frozen_clock() { frozen_time().reset(); }
};

}  // namespace http2_test
