// SPDX-License-Identifier: MIT
//
// Why a request is not served.

#pragma once

#include <cstdint>

namespace kino::server {

/// A rejection is why a request is not served: the status that says so, and for the log the
/// limit and the value that broke it, where there are such.
struct rejection {
  int status = 0;
  char const* reason = "";
  std::uint64_t limit = 0;
  std::uint64_t value = 0;

  explicit operator bool() const { return status != 0; }
};

}  // namespace kino::server
