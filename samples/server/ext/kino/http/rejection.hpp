// SPDX-License-Identifier: MIT
//
// rejection: the reason why a request is not served.

#pragma once

#include "http/endpoint.hpp"

#include <cstdint>

namespace kino::server {

/// A rejection is the reason why a request is not served: the status for the client, and for the log
/// the exceeded limit and the value, if any.
struct rejection {
  int status = 0;
  char const* reason = "";
  std::uint64_t limit = 0;
  std::uint64_t value = 0;

  explicit operator bool() const { return status != 0; }
};

/// Logs why a request of `client`, or its connection, is not served. Without a status, that is not mentioned.
void log_rejection(endpoint const& client, rejection const& why) noexcept;

}  // namespace kino::server
