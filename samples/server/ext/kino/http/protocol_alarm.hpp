// SPDX-License-Identifier: MIT
//
// protocol_alarm: the one deadline of a protocol that has many time limits.

#pragma once

#include "base/deadline.hpp"
#include "http/protocol.hpp"

#include <algorithm>
#include <exception>
#include <functional>

namespace kino::server {

/// A protocol_alarm makes its protocol look at its time limits. It is only ever moved forward, by a limit that is earlier:
/// limits that have become later, or have passed, are found out when it goes off, and it is then set again.
///
/// Threads: the I/O thread, except for the constructor, and for the destructor once it is stopped.
/// Errors:  what the function throws fails the connection.
class protocol_alarm {
public:
  /// `check(now)` is called when it goes off; `now` is not before the time for which it was set.
  protocol_alarm(deadline_queue& in, protocol::host& connection, std::function<void(clock::time_point)> check)
      : host_(connection), check_(std::move(check)), deadline_(in, [this] { go_off(); }) {}

  /// Goes off at `when`, unless it does so earlier.
  void set(clock::time_point when) noexcept {
    if (stopped_ || when >= deadline_.due()) return;
    set_for_ = when;
    deadline_.set(when);
  }
  [[nodiscard]] bool stopped() const { return stopped_; }
  /// Never goes off any more: the connection may outlive the I/O thread.
  void stop() noexcept {
    stopped_ = true;
    deadline_.clear();
  }

private:
  void go_off() noexcept {
    host_.hold();
    try {
      check_(std::max(clock::now(), set_for_));
    } catch (std::exception const& failed) {
      host_.fail(failed);
    }
    host_.drop();
  }

  protocol::host& host_;
  std::function<void(clock::time_point)> const check_;
  deadline deadline_;
  clock::time_point set_for_{};
  bool stopped_ = false;
};

}  // namespace kino::server
