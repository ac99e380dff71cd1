// SPDX-License-Identifier: MIT
//
// An answer whose body is written bit by bit.

#pragma once

#include "http/exchange.hpp"
#include "http1/response_head.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kino::server {

/// A response_writer frames the pieces of one answer and knows whether it is complete.
///
/// The head lies in the exchange's head buffer until the first piece, so that until then the answer
/// may still be replaced by another one.
///
/// Threads: the worker's.  Throws: std::bad_alloc.
class response_writer {
public:
  enum class result {
    ok,
    above_high_watermark,   ///< As ok, but perhaps so much waits that the writer should, too.
    gone,      ///< The client left, or somebody else has answered.
    too_long,  ///< More bytes than Content-Length announced; none of them was sent.
    too_short, ///< Fewer; the connection was cut.
  };

  response_writer() = default;
  /// Begins an answer to `to`, whose head buffer holds a finished head.
  response_writer(exchange::reply const& to, framing how, std::uint64_t length, bool keep_alive)
      : reply_(to), how_(how), left_(length), keep_alive_(keep_alive), begun_(true) {}

  /// Hands on `bytes`, which may wait a moment for what follows.
  [[nodiscard]] result write(std::string_view bytes);
  /// Sends the head and what has gathered behind it.
  [[nodiscard]] result flush();
  /// Ends the answer.
  [[nodiscard]] result finish();
  /// Ends it so that the client sees it is incomplete. Before the head has gone out there is
  /// nothing to cut: then this forgets the answer.
  void abort();

  /// Whether there is an answer, complete or not.
  [[nodiscard]] bool begun() const { return begun_; }
  [[nodiscard]] bool head_sent() const { return head_sent_; }
  [[nodiscard]] bool finished() const { return finished_; }
  /// Whether an end is due, or the client would take what it has for all.
  [[nodiscard]] bool open() const { return head_sent_ && !finished_; }
  /// Whether with so many bytes more the client has the whole body.
  [[nodiscard]] bool completed_by(std::size_t more) const {
    return how_ == framing::length && left_ == more;
  }
  [[nodiscard]] exchange& to() const { return exchange::of(reply_); }

private:
  enum class pace { gathering, at_once, last };
  result send(std::span<iovec> pieces, pace how);

  exchange::reply reply_;
  framing how_ = framing::none;
  std::uint64_t left_ = 0;
  bool keep_alive_ = false;
  bool begun_ = false;
  bool head_sent_ = false;
  bool finished_ = false;
};

}  // namespace kino::server
