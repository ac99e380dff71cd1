// SPDX-License-Identifier: MIT
//
// A connection whose bytes belong to one exchange until its end: see upgrade.

#include "http1/http1_protocol.hpp"

#include <utility>

namespace kino::server {

void http1_protocol::open_tunnel() {
  tunnel_ = pipeline_.take_tunnel();
  if (!tunnel_) return;
  paused_ = pause::none;  // Nothing else would resume it.
  byte_buffer behind;
  behind.swap(unparsed_);
  receive_tunneled(behind.view());
  if (shared_.draining.load(std::memory_order_relaxed)) {  // see its declaration
    tunnel_->body().finish();
    end_tunnel();
  }
  host_.read_on();
}

void http1_protocol::receive_tunneled(std::string_view bytes) {
  tunnel_->count_body(bytes.size());
  if (!tunnel_->body().push(bytes)) paused_ = pause::body_full;
}

// What is received from now on is discarded.
void http1_protocol::end_tunnel() noexcept {
  last_request_ = true;
  paused_ = pause::none;
  std::exchange(tunnel_, nullptr)->drop_weak();
}

}  // namespace kino::server
