// SPDX-License-Identifier: MIT
//
// Where the response to a request goes.

#pragma once

#include "base/options.hpp"
#include "http/endpoint.hpp"

#include <kino/responder.hpp>

namespace kino::server {

class exchange;
class response_head;
struct response_part;

/// What became of a part of a response.
enum class delivery {
  gone,                  // the client will not get it
  taken,                 // it is sent, or will be
  gathered,              // likewise, with what follows on the connection: see response_part::gather
  above_high_watermark,  // likewise, but so much waits for the client that the writer should wait, too
};

/// A response_sink sends the responses of exchanges. It encodes what they describe; a connection is one.
///
/// A response is sent by one thread at a time. `send` and `interim` return before the client has what they send, and
/// keep no view of what they are given.
///
/// Threads: any, one at a time for each exchange, except for `flush`, `client_gone` and `resume_reading`, which may be
///          called at the same time as everything else.
/// Blocks:  never, except for a leaf mutex.
/// Lifetime: from the exchange's first use until it calls `release`.
class response_sink {
public:
  /// Sends one part of the response to `from`, or keeps it until it can. The parts come in the order head, data, end;
  /// one call may have all of them.
  virtual delivery send(exchange& from, response_part const& part) noexcept = 0;
  /// Sends an interim response (1xx) ahead of the response to `from`, at once. Clients of HTTP/1.0 get none.
  virtual delivery interim(exchange& from, response_head const& what) noexcept = 0;
  /// Sends parts of the response to `from` that wait for more.
  virtual void flush(exchange& from) noexcept = 0;
  /// Whether so much waits for the client that the writer should wait; if so, the exchange's `departures` is
  /// notified when there is room, or when nothing more can be sent.
  [[nodiscard]] virtual bool await_room(exchange& from) = 0;
  /// Ends the response to `from` so that the client sees that it is incomplete.
  virtual void cut(exchange& from) = 0;
  /// Sends a response to a request whose handler gave none: its last handle is gone, or it has expired.
  virtual void unanswered(exchange& from, kino::ending how) noexcept = 0;

  /// There is room again for the body of the request.
  virtual void resume_reading(exchange& from) = 0;
  /// Whether the client had left when the handling of `from`, which was ready at its `ready_at`, might have begun.
  [[nodiscard]] virtual bool client_gone(exchange const& from) = 0;

  /// A new descriptor of the connection's socket, which the caller owns; see transport::duplicate. -1 unless nothing else
  /// is between the application and the client: no byte has been read behind the request, none waits to be sent, and none
  /// will be read before the response. Then the response should take the connection over: see upgrade.
  [[nodiscard]] virtual int duplicate_socket(exchange&) { return -1; }

  /// Whether a part may have a file; always the same. See response_part.
  [[nodiscard]] virtual bool sends_files() const noexcept { return false; }

  /// The two ends of the connection.
  [[nodiscard]] virtual endpoint const& peer() const = 0;
  [[nodiscard]] virtual endpoint const& local() const = 0;

  /// The exchange no longer needs the sink, which may be destroyed by this call.
  virtual void release() noexcept = 0;

protected:
  ~response_sink() = default;
};

}  // namespace kino::server
