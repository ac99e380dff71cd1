// SPDX-License-Identifier: MIT
//
// response_head: writes the status line and headers of a response.

#pragma once

#include "base/byte_buffer.hpp"
#include "http/status.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace kino::server {

/// How the end of a response body is delimited.
enum class framing : std::uint8_t {
  none,     ///< There is no body: HEAD, 204, 205, 304.
  length,   ///< Content-Length.
  chunked,  ///< Chunks, the last one empty.
  closing,  ///< The end of the connection (HTTP/1.0).
};

/// A response_head writes the status line and headers into a buffer.
///
/// The server controls connection-specific headers. Of an application's `connection`, only "close"
/// has an effect; `transfer-encoding`, `keep-alive`, `proxy-connection` and `trailer` are dropped;
/// `upgrade`, which 426 needs, is passed on and listed in `connection`. The status determines the
/// framing of the body.
///
/// It is trivially destructible on purpose: a Ruby exception may skip the frames of its user between
/// any two calls.
///
/// Threads: one at a time.  Throws: std::bad_alloc, from members that write.
class response_head {
public:
  enum class problem { none, bad_status, interim_status, bad_name, bad_value, bad_length };

  explicit response_head(byte_buffer& out) : out_(&out) {}

  /// Begins a response with a status of 200 to 999; an interim status is an error.
  [[nodiscard]] problem status(long code);
  /// Adds one header line.
  [[nodiscard]] problem header(std::string_view name, std::string_view value);

  struct ending {
    framing how;
    std::uint64_t length;  // if how is framing::length
    bool keep_alive;
    bool http_1_0;
  };
  /// Adds the missing headers and the empty line.
  void finish(ending const& end);

  [[nodiscard]] bool wants_close() const { return wants_close_; }
  /// The application's own Content-Length.
  [[nodiscard]] std::optional<std::uint64_t> content_length() const {
    if (!has_length_) return std::nullopt;
    return length_;
  }
  /// Whether a response with this status never has a body, for any request.
  [[nodiscard]] bool bodiless() const { return status_.content != content_rule::usual; }
  /// The framing of a response to HEAD or another method, with a known or unknown length.
  [[nodiscard]] framing frame(bool head_only, bool length_known, bool http_1_0) const;

  /// Appends a complete response to `out`: a status with a short explanation as its body. The
  /// connection is closed after it.
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
