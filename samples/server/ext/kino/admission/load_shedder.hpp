// SPDX-License-Identifier: MIT
//
// load_shedder: decides which requests are refused because the queue stays long.

#pragma once

#include "base/options.hpp"

#include <kino/leaf_mutex.hpp>

namespace kino::server {

/// A load_shedder keeps the queue short under overload, as CoDel (RFC 8289) does for packets: a queue that a burst fills is
/// harmless, one that stays long delays every request and serves no more of them.
///
/// It learns how long each request has waited when it leaves the queue. If all have waited longer than the target for an
/// interval of 20 targets, the server is overloaded: then requests that have waited longer than two targets are refused,
/// until one comes that has waited no longer than the target. Their clients learn at once what they would otherwise learn
/// from their own timeouts, and the others are served in time.
///
/// Threads: any.  Blocks: never; a leaf lock is held for a few instructions.  Throws: nothing.
class load_shedder {
public:
  /// A `target` of zero: nothing is refused.
  explicit load_shedder(clock::duration target) noexcept : target_(target) {}

  [[nodiscard]] bool enabled() const noexcept { return target_ != clock::duration::zero(); }
  /// A request leaves the queue at `now`, after it has waited there for `waited`. Returns whether it should be refused.
  [[nodiscard]] bool refuses(clock::duration waited, clock::time_point now) noexcept;

private:
  [[nodiscard]] clock::duration interval() const noexcept { return 20 * target_; }

  clock::duration const target_;
  kino::leaf_mutex mutex_;
  clock::time_point end_{};     // of the current interval
  clock::duration least_{};     // the shortest wait in it
  bool overloaded_ = false;
};

}  // namespace kino::server
