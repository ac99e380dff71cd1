// SPDX-License-Identifier: MIT

#include "http/http_date.hpp"

#include <cstdio>
#include <ctime>

namespace kino::server {

// Not inlined: a thread-local's address must not be kept across a call into Ruby, after which
// a Ractor may be on another native thread.
[[gnu::noinline]] std::string_view http_date() noexcept {
  static constexpr char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  static thread_local std::time_t second = -1;
  static thread_local char text[64];
  timespec now{};
#ifdef CLOCK_REALTIME_COARSE
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
#else
  ::clock_gettime(CLOCK_REALTIME, &now);
#endif
  if (now.tv_sec != second) {
    std::tm t{};
    ::gmtime_r(&now.tv_sec, &t);
    // By hand: strftime speaks the process's language.
    std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.tm_wday],
                  t.tm_mday, months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    second = now.tv_sec;
  }
  return {text, 29};
}

}  // namespace kino::server
