// SPDX-License-Identifier: MIT
//
// What HTTP/1 keeps with each exchange.

#pragma once

#include "base/file_range.hpp"
#include "http/exchange.hpp"
#include "http/response_buffer.hpp"
#include "http1/response_encoder.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace kino::server {

/// The http1_state of an exchange is the progress of its response: of its encoding, and of its sending.
///
/// Threads: as stated for each part.
struct http1_state final : protocol_state {
  /// The state of an exchange on which `exchange::begin_state` was called for this type.
  [[nodiscard]] static http1_state& of(exchange& any) { return static_cast<http1_state&>(*any.state()); }
  [[nodiscard]] static http1_state const& of(exchange const& any) { return static_cast<http1_state const&>(*any.state()); }

  void clear() noexcept override {
    encoded.clear();
    out.bytes.clear();
    out.file.close();
    out.upgrade.reset();
    out.attached = out.last = out.writer_waits = false;
    out.keep_alive = true;
    refused = followed = false;
  }

  /// What goes out; guarded by the response_pipeline's lock.
  struct outgoing {
    response_buffer bytes;
    file_range file;  // behind the bytes
    std::shared_ptr<kino::server::upgrade> upgrade;  // if last: what the connection becomes
    exchange::reply waiting;  // the request itself, ready to be handled, until its turn comes
    bool attached = false;
    bool last = false;
    bool keep_alive = true;
    bool writer_waits = false;

    [[nodiscard]] bool empty() const { return bytes.empty() && file.empty(); }
    [[nodiscard]] std::uint64_t size() const { return bytes.size() + file.size(); }
  };

  response_encoder::state encoded;  // for the thread that sends the response
  outgoing out;
  std::size_t ordinal = 0;  // among the requests of its connection, from 1; constant once the request is attached
  bool refused = false;     // likewise: the response says why
  bool followed = false;    // likewise, once it is handed over: bytes behind it have been read, or may be
  exchange* next = nullptr; // in a list of the thread that has removed both from the queue
};

}  // namespace kino::server
