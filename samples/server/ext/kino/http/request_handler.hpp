// SPDX-License-Identifier: MIT
//
// What handles the requests of a server.

#pragma once

#include "http/exchange.hpp"

#include <kino/responder.hpp>

namespace kino::server {

/// A request_handler receives the requests of an http_server, whatever protocol they came by.
///
/// Threads: any, several at the same time.
/// Blocks:  it must not: the caller is an I/O thread, or a worker that has completed a response.
class request_handler {
public:
  /// Takes over one request. `reply` must be answered, later and by any thread, or dropped. Called on
  /// an I/O thread or, for a request that was read ahead, on the thread that has completed the
  /// previous response. HTTP/1 requests of one client are handed over one at a time, each after the
  /// response to the previous one.
  virtual void handle(exchange::reply&& reply) noexcept = 0;
  /// Returns the status for a request that was dropped or has expired.
  virtual int status_for(kino::ending how, [[maybe_unused]] exchange& unanswered) noexcept {
    return how == kino::ending::expired ? 503 : 500;
  }
  /// Reports an invalid request, which is about to be refused with `status`.
  virtual void refused([[maybe_unused]] int status) noexcept {}
  /// Reports that no connection is active any longer. Called on an I/O thread.
  virtual void quiet() noexcept {}

protected:
  ~request_handler() = default;
};

}  // namespace kino::server
