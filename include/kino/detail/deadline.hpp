// SPDX-License-Identifier: MIT
//
// The clock and the deadlines of every wait.

#pragma once

#include <kino/detail/config.hpp>

#include <chrono>
#include <optional>

KINO_NAMESPACE_BEGIN
namespace detail {

using clock = std::chrono::steady_clock;
using deadline = std::optional<clock::time_point>;  // none: forever

// A century or more means forever: callers pass the largest duration for that, and adding it to
// the clock would overflow.
template <class Rep, class Period>
deadline deadline_after(std::chrono::duration<Rep, Period> patience) {
  // As double: the largest of a coarse unit has no number of hours in its own type.
  std::chrono::duration<double> const seconds(patience);
  if (seconds > std::chrono::hours(24 * 36525)) return std::nullopt;
  if (!(seconds > seconds.zero())) return clock::now();  // also what is not a number
  return clock::now() + std::chrono::duration_cast<clock::duration>(patience);
}

}  // namespace detail
KINO_NAMESPACE_END
