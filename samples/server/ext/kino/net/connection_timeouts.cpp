// SPDX-License-Identifier: MIT
//
// The deadlines of a connection: one timer, set anew only when it rings or a deadline comes sooner.

#include "net/connection.hpp"
#include "net/http_server.hpp"
#include "net/io_thread.hpp"

#include <algorithm>

namespace kino::server {

void connection::set_alarm(clock::time_point when) {
  // Only ever moved forward by a new phase; what passed meanwhile is seen when it rings.
  if (when >= alarm_ || !timer_) return;
  alarm_ = when;
  timer_->expires_at(when);
  timer_->async_wait([this, self = reference(*this)](asio::error_code const& error) {
    if (!error && timer_) guarded([this] { check_timeouts(); });
  });
}

void connection::check_timeouts() {
  alarm_ = clock::time_point::max();
  clock::time_point const now = clock::now();
  deadline const next = next_deadline(now);
  if (next.due > now) return set_alarm(next.due);
  too_late(next.of, now);
}

// Looks at the response_pipeline once: other threads change it.
connection::deadline connection::next_deadline(clock::time_point now) {
  auto const status = pipeline_.now();
  if (lingering_) return {linger_until_, phase::lingering};
  if (status.stalled) {
    // The notice of it may still be on its way to `attend`; it begins the client's time.
    if (output_waits_ == io_result::state::done) return {now + limits_.body_timeout, phase::response};
    if (status.delivered > delivered_) sending_.progress(status.delivered - delivered_, now);
    delivered_ = std::max(delivered_, status.delivered);
    return {sending_.due(), phase::response};
  }
  if (current_ && parser_.in_head()) return {receiving_since_ + limits_.header_timeout, phase::head};
  if (current_ && paused_ != pause::body_full) return {receiving_.due(), phase::body};
  if (status.waiting == 0) {
    auto const timeout = ordinal_ == 0 ? limits_.header_timeout : limits_.keep_alive_timeout;
    return {status.since + timeout, phase::idle};
  }
  // A worker is busy with it, which is not for us to limit. Look again later, when the
  // connection may be idle.
  return {now + limits_.keep_alive_timeout, phase::idle};
}

void connection::too_late(phase of, clock::time_point now) {
  switch (of) {
    case phase::head: return refuse({408, "the request headers did not arrive within header_timeout"});
    case phase::body:
      return refuse({408, receiving_.stopped(now)
                              ? "the body made no progress for longer than body_timeout"
                              : "the body arrives more slowly than min_body_rate"});
    case phase::response:
      log({0, sending_.stopped(now)
                  ? "the client does not read its response"
                  : "the client reads its response more slowly than min_response_rate"});
      break;
    case phase::lingering:
    case phase::idle: break;
  }
  close();
}

}  // namespace kino::server
