// SPDX-License-Identifier: MIT
//
// Where the response to a request goes.

#pragma once

#include "base/options.hpp"
#include "http/endpoint.hpp"

#include <kino/responder.hpp>

namespace kino::server {

class exchange;
struct answer;

/// What became of the bytes of an answer.
enum class delivery {
  gone,                  // the client will not get them
  taken,                 // they are sent, or will be
  above_high_watermark,  // likewise, but so much waits for the client that its writer should wait, too
};

/// A response_sink is what an exchange answers to: the connection from which its request came, as
/// far as a handler is concerned.
///
/// Threads: any; `deliver`, `flush`, `decide_keep_alive`, `await_room` and `cut` by one at a time
///          for each exchange.
/// Blocks:  never, except for a leaf mutex.
/// Lifetime: from the exchange's first use until it calls `release`.
class response_sink {
public:
  /// Sends bytes of an answer, or keeps them until it can.
  virtual delivery deliver(exchange& from, answer const& bytes) noexcept = 0;
  /// Sends what has gathered.
  virtual void flush() noexcept = 0;
  /// Whether the connection may be kept after the answer to `from`; "no" is final for it.
  [[nodiscard]] virtual bool decide_keep_alive(exchange& from) = 0;
  /// Whether so much waits for the client that the writer should wait; then the exchange's
  /// `departures` is notified when there is room, or no client any more.
  [[nodiscard]] virtual bool await_room(exchange& writer) = 0;
  /// Ends the connection so that the client sees an incomplete answer.
  virtual void cut() = 0;
  /// The body has room again: its sender may go on.
  virtual void resume_reading() = 0;
  /// Whether the client had left when a request that was complete at `ready` might have been begun.
  [[nodiscard]] virtual bool client_gone(clock::time_point ready) = 0;
  /// The last handle of `from` is gone, or it has expired, without an answer: gives it one.
  virtual void unanswered(exchange& from, kino::ending how) noexcept = 0;

  /// The two ends of the connection.
  [[nodiscard]] virtual endpoint const& peer() const = 0;
  [[nodiscard]] virtual endpoint const& local() const = 0;

  /// The exchange needs it no more. The sink may be gone afterwards.
  virtual void release() noexcept = 0;

protected:
  ~response_sink() = default;
};

}  // namespace kino::server
