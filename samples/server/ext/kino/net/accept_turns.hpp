// SPDX-License-Identifier: MIT
//
// When a process leaves a connection to another one that accepts from the same socket.

#pragma once

#include "base/deadline.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace kino::server {

/// An accept_turns decides for a process that has more connections than another one whether it leaves the next one to that: for
/// `turn`, after which it accepts one itself, and soon many, in case the other is stuck.
///
/// If connections of this process end while it waits, they are short. Shares of short connections even out by themselves, and
/// waiting would only delay clients, so it does not wait for a while, which grows as long as this is so.
///
/// Threads: one at a time.  Blocks: never.  Throws: nothing.
class accept_turns {
public:
  static constexpr std::chrono::milliseconds turn{1};

  /// This process has no more than its share, or no connection is left for it.
  void level() noexcept;
  /// This process, which has so many connections, is ahead: whether it leaves the next connection to others until `over`.
  [[nodiscard]] bool leaves_next(std::uint32_t connections, clock::time_point now) noexcept;
  /// The turn of the others is over, and this process has so many connections.
  void over(std::uint32_t connections, clock::time_point now) noexcept;
  /// Whether it is the turn of the others.
  [[nodiscard]] bool waits() const { return waits_; }

private:
  bool waits_ = false;
  std::uint32_t had_ = 0;   // connections when the turn began
  std::size_t credit_ = 0;  // connections to accept although others have fewer
  unsigned in_vain_ = 0;    // turns in a row after which a connection still waited
  std::chrono::milliseconds hurry_{0};
  clock::time_point hurry_until_{};
};

}  // namespace kino::server
