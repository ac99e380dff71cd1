// SPDX-License-Identifier: MIT
//
// The deadlines of a connection: one timer, set anew only when it rings or a deadline comes sooner.

#include "connection.hpp"
#include "front_end.hpp"
#include "io_thread.hpp"

#include <algorithm>

namespace kino::server {

void connection::set_alarm(clock::time_point when) {
  // Only ever moved forward by a new phase; what passed meanwhile is seen when it rings.
  if (when >= alarm_ || !timer_) return;
  alarm_ = when;
  timer_->expires_at(when);
  timer_->async_wait([self = reference(*this)](asio::error_code const& error) {
    if (error || !self->timer_) return;
    self->look_at_clock();
  });
}

void connection::look_at_clock() {
  alarm_ = clock::time_point::max();
  clock::time_point const now = clock::now();
  clock::time_point const due = next_deadline(now);
  if (due > now) return set_alarm(due);
  too_late();
}

clock::time_point connection::next_deadline(clock::time_point now) {
  auto const status = outlet_.now();
  if (lingering_) return linger_until_;
  if (status.stalled) {
    if (status.delivered > delivered_) sending_.progress(status.delivered - delivered_, now);
    delivered_ = std::max(delivered_, status.delivered);
    return sending_.due();
  }
  if (current_ && parser_.in_head()) return receiving_since_ + limits_.header_timeout;
  if (current_ && paused_ != pause::body_full) return receiving_.due();
  if (status.waiting == 0) {
    return status.since + (ordinal_ == 0 ? limits_.header_timeout : limits_.keep_alive_timeout);
  }
  // A worker is busy with it, which is not for us to limit. Look again later, when the
  // connection may be idle.
  return now + limits_.keep_alive_timeout;
}

void connection::too_late() {
  clock::time_point const now = clock::now();
  bool const stalled = outlet_.now().stalled;
  if (!lingering_ && stalled) {
    log({0, sending_.stopped(now) ? "the client does not read its answer"
                                  : "the client reads its answer more slowly than min_response_rate"});
  }
  if (lingering_ || !current_ || stalled) return close();
  if (parser_.in_head()) return refuse({408, "the head did not arrive within header_timeout"});
  refuse({408, receiving_.stopped(now) ? "the body stopped for longer than body_timeout"
                                       : "the body arrives more slowly than min_body_rate"});
}

}  // namespace kino::server
