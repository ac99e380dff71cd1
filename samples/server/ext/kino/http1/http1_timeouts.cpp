// SPDX-License-Identifier: MIT
//
// The time limits of an http1_protocol.

#include "http1/http1_protocol.hpp"

#include <algorithm>

namespace kino::server {

void http1_protocol::check_timeouts(clock::time_point now) {
  time_limit next = next_limit(now);
  if (next.of != phase::response && next.due <= now) {
    host_.catch_up();
    if (alarm_.stopped()) return;
    next = next_limit(now);
  }
  if (next.due > now) return alarm_.set(next.due);
  too_late(next.of, now);
}

// Looks at the response_pipeline once: other threads change it.
http1_protocol::time_limit http1_protocol::next_limit(clock::time_point now) {
  auto const status = pipeline_.now();
  if (status.stalled) {
    // The notice of it may still be on its way to `attend`; it begins the client's time.
    if (!output_waits_) return {now + limits_.body_timeout, phase::response};
    if (status.delivered > delivered_) sending_.progress(status.delivered - delivered_, now);
    delivered_ = std::max(delivered_, status.delivered);
    return {sending_.due(), phase::response};
  }
  if (current_ && parser_.in_head()) return {receiving_since_ + limits_.header_timeout, phase::head};
  if (current_ && paused_ != pause::body_full) return {receiving_.due(), phase::body};
  bool const draining = shared_.draining.load(std::memory_order_relaxed);  // see protocol::drain
  if (status.waiting == 0) {
    auto const timeout = ordinal_ == 0 ? limits_.header_timeout : limits_.keep_alive_timeout;
    return {status.since + (draining ? tuning::drain_grace : timeout), phase::idle};
  }
  // A worker is busy with it, which is not for us to limit. Look again later, when the
  // connection may be idle.
  return {now + (draining ? tuning::drain_grace : limits_.keep_alive_timeout), phase::idle};
}

void http1_protocol::too_late(phase of, clock::time_point now) {
  switch (of) {
    case phase::head: return refuse({408, "the request headers did not arrive within header_timeout"});
    case phase::body:
      return refuse({408, receiving_.stopped(now)
                              ? "the body made no progress for longer than body_timeout"
                              : "the body arrives more slowly than min_body_rate"});
    case phase::response:
      log_rejection(peer(), {0, sending_.stopped(now)
                  ? "the client does not read its response"
                  : "the client reads its response more slowly than min_response_rate"});
      break;
    case phase::idle:
      // In order, and the client may still have sent a request: it sees the end, and not a reset.
      if (shared_.draining.load(std::memory_order_relaxed)) return pipeline_.close_after_last();
      break;
  }
  host_.close();
}

}  // namespace kino::server
