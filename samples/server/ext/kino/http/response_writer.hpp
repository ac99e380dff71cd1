// SPDX-License-Identifier: MIT
//
// Writes a response whose body is produced piece by piece.

#pragma once

#include "http/exchange.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace kino::server {

/// A response_writer sends one response in parts and knows whether its body is complete.
///
/// The head goes out with the first part, so until then the request may still be given another response.
///
/// Threads: the worker's.  Throws: std::bad_alloc.
class response_writer {
public:
  enum class result {
    ok,
    above_high_watermark,  ///< As ok, but so much waits for the client that the writer should wait, too.
    gone,       ///< The client left, or the request has ended otherwise.
    too_long,   ///< More bytes than the content-length; none of them was sent.
    too_short,  ///< Fewer bytes than the content-length; the connection was cut.
  };

  response_writer() = default;
  /// For the response that `to` describes.
  explicit response_writer(exchange::reply const& to);

  /// Sends `bytes`, which may wait a moment for what follows.
  [[nodiscard]] result write(std::string_view bytes);
  /// Sends the head, and everything that waits behind it.
  [[nodiscard]] result flush();
  /// Ends the response, with trailers unless `trailers` is null.
  [[nodiscard]] result finish(response_trailers const* trailers = nullptr);
  /// Ends the response with a file, the rest of a body whose length is known; only if exchange::sends_files.
  [[nodiscard]] result finish(file_range&& rest);
  /// Ends the response so that the client sees that it is incomplete. If the head has not been sent, the
  /// response is dropped.
  void abort();

  /// Whether the first part has been sent.
  [[nodiscard]] bool head_sent() const { return head_sent_; }
  [[nodiscard]] bool finished() const { return finished_; }
  /// Whether the client waits for the rest.
  [[nodiscard]] bool open() const { return head_sent_ && !finished_; }
  /// Whether the body is complete after so many more bytes.
  [[nodiscard]] bool completed_by(std::size_t more) const { return left_ == more; }
  [[nodiscard]] exchange& to() const { return exchange::of(reply_); }

private:
  result send(response_part part);

  exchange::reply reply_;
  std::optional<std::uint64_t> left_;  // of the body, if its length is known
  bool bodiless_ = false;
  bool head_sent_ = false;
  bool finished_ = false;
};

}  // namespace kino::server
