// SPDX-License-Identifier: MIT
//
// One part of a response, encoded.

#pragma once

#include "http/observer.hpp"
#include "http/response.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <sys/uio.h>

namespace kino::server {

/// The bytes of one part of a response: `before`, then the pieces, then `after`. They are sent or copied before
/// response_pipeline::deliver returns.
struct response_bytes {
  std::span<iovec const> pieces = {};
  bool last = false;        // nothing follows: the response is complete
  bool keep_alive = false;  // if last: the connection may serve another request
  bool gather = false;      // small parts may wait a moment for what follows, see response_pipeline
  std::string_view before = {};
  bool tunnel = false;      // what the client sends behind the request belongs to this exchange
  std::string_view after = {};
  file_range* file = nullptr;  // if last: what follows all of these, and is moved from
  std::shared_ptr<kino::server::upgrade> const* upgrade = nullptr;  // if last: see response_part
  int status = 0;                // of the response that begins here, for the observer
  std::uint64_t body_bytes = 0;  // likewise, how many of the bytes are its body
  exchange_end how = exchange_end::complete;  // ... and how it ends

  /// The number of all bytes.
  [[nodiscard]] std::size_t size() const { return before.size() + length_of(pieces) + after.size(); }
};

}  // namespace kino::server
