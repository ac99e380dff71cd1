// SPDX-License-Identifier: MIT
//
// The head of an answer as bytes.

#pragma once

#include "base/byte_buffer.hpp"
#include "http/status.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace kino::server {

/// How the client learns where the body of an answer ends.
enum class framing : std::uint8_t {
  none,     ///< There is no body: HEAD, 204, 205, 304.
  length,   ///< Content-Length.
  chunked,  ///< Chunks, the last one empty.
  closing,  ///< The end of the connection (HTTP/1.0).
};

/// A response_head writes status line and headers into a buffer, one after the other.
///
/// Headers that are about one connection are the server's own. Of an application's `connection`
/// only "close" counts; `transfer-encoding`, `keep-alive`, `proxy-connection` and `trailer` are
/// dropped; `upgrade`, which 426 needs, is passed on and listed in `connection`. What stands
/// there for the end of the body follows from the status.
///
/// It is trivially destructible on purpose: the code that feeds it Ruby values may be left by
/// a Ruby exception between any two calls.
///
/// Threads: none.  Throws: std::bad_alloc, from all that write.
class response_head {
public:
  enum class problem { none, bad_status, interim_status, bad_name, bad_value, bad_length };

  explicit response_head(byte_buffer& out) : out_(&out) {}

  /// Begins an answer. 200 to 999: an interim status is no answer.
  [[nodiscard]] problem status(long code);
  /// Adds one header line.
  [[nodiscard]] problem header(std::string_view name, std::string_view value);

  struct ending {
    framing how;
    std::uint64_t length;  // if how is framing::length
    bool keep_alive;
    bool http_1_0;
  };
  /// Adds what is missing and the empty line.
  void finish(ending const& end);

  [[nodiscard]] bool wants_close() const { return wants_close_; }
  /// The application's own Content-Length.
  [[nodiscard]] std::optional<std::uint64_t> content_length() const {
    if (!has_length_) return std::nullopt;
    return length_;
  }
  /// Whether an answer with this status has no body, whatever was asked.
  [[nodiscard]] bool bodiless() const { return status_.content != content_rule::usual; }
  /// How to frame an answer to HEAD, or to another method, whose length is known or not.
  [[nodiscard]] framing frame(bool head_only, bool length_known, bool http_1_0) const;

  /// Appends a whole answer to `out`: a status with a short explanation as its body, after
  /// which the connection is closed.
  static void brief(byte_buffer& out, int code, bool head_only);

private:
  void finish_framing(ending const& end);
  void finish_connection(ending const& end);

  byte_buffer* out_;
  std::uint64_t length_ = 0;
  status_entry status_{};
  bool has_length_ = false;
  bool wants_close_ = false;
  bool has_date_ = false;
  bool has_server_ = false;
  bool has_upgrade_ = false;
};

/// The value of a Date header now; valid until this thread's next call.
[[nodiscard]] std::string_view http_date() noexcept;

}  // namespace kino::server
