// SPDX-License-Identifier: MIT
//
// The clock of every wait, and how a patience becomes a deadline.

#pragma once

#include <kino/detail/config.hpp>

#include <chrono>
#include <optional>

KINO_NAMESPACE_BEGIN
namespace detail {

using clock = std::chrono::steady_clock;
using deadline = std::optional<clock::time_point>;  // none: for ever

// A century and more is for ever: callers say so with the largest duration they have, and the
// clock could not count that far.
template <class Rep, class Period>
deadline deadline_after(std::chrono::duration<Rep, Period> patience) {
  if (patience > std::chrono::hours(24 * 36525)) return std::nullopt;
  if (patience <= patience.zero()) return clock::now();
  return clock::now() + std::chrono::duration_cast<clock::duration>(patience);
}

}  // namespace detail
KINO_NAMESPACE_END
