// SPDX-License-Identifier: MIT
//
// The head of one request, in one piece of memory that the next request reuses.

#pragma once

#include "base/byte_buffer.hpp"
#include "http/rejection.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace kino::server {

/// Headers that mean something to the server itself.
enum class known_header : std::uint8_t {
  other,
  connection,
  content_length,
  content_type,
  cookie,
  expect,
  host,
  transfer_encoding,
};

/// A request is a parsed head: views into one arena, valid until `clear`.
///
/// Any head of n bytes takes at most 2 n + 16 bytes of the arena. The arena has at most twice as
/// much memory.
///
/// Header names are kept as the keys a Rack environment has ("HTTP_ACCEPT_ENCODING",
/// "CONTENT_TYPE"): the conversion happens once, byte by byte, while parsing.
class request {
public:
  /// One header, as positions in the arena.
  struct header {
    std::uint32_t key;
    std::uint32_t key_length;
    std::uint32_t value;
    std::uint32_t value_length;
    std::uint32_t hash;  // of the key
    known_header known;
    bool underscored;  // the client used an underscore
    bool dashed;       // the client used a dash
  };

  // --- what was asked ---

  unsigned minor_version = 1;  ///< 0 or 1.
  bool keep_alive = true;
  bool chunked = false;
  bool expects_continue = false;
  std::optional<std::uint64_t> content_length;

  /// Any token, known or not, except CONNECT. Empty if the request had no valid one.
  [[nodiscard]] std::string_view method() const { return text(method_); }
  [[nodiscard]] std::string_view target() const { return text(target_); }
  [[nodiscard]] std::string_view path() const { return text(path_); }
  [[nodiscard]] std::string_view query() const { return text(query_); }
  /// Name and port from the target or else the Host header; empty if there is none.
  [[nodiscard]] std::string_view host_name() const { return text(host_name_); }
  [[nodiscard]] std::string_view host_port() const { return text(host_port_); }

  [[nodiscard]] std::vector<header> const& headers() const { return headers_; }
  [[nodiscard]] std::string_view key(header const& h) const {
    return {arena_.data() + h.key, h.key_length};
  }
  [[nodiscard]] std::string_view value(header const& h) const {
    return {arena_.data() + h.value, h.value_length};
  }
  [[nodiscard]] bool has_body() const { return chunked || content_length.value_or(0) != 0; }
  [[nodiscard]] bool head_only() const { return method() == "HEAD"; }

  // --- for the parser ---

  void clear();
  /// The request line, without its line break; then `end_line`.
  void append_line(std::string_view bytes) { arena_.append(bytes); }
  /// Whether the line has gone beyond its method.
  [[nodiscard]] bool in_target() const {
    return arena_.view().find(' ') != std::string_view::npos;
  }
  /// Parses the line. After a rejection, the method is still available if it is valid.
  [[nodiscard]] rejection end_line();
  void append_name(std::string_view bytes);
  void append_value(std::string_view bytes);
  void end_name();
  void end_value();

  /// Performs the checks that llhttp does not, determines host and body, and joins repeated headers.
  [[nodiscard]] rejection finish();

private:
  struct span {
    std::uint32_t start = 0;
    std::uint32_t length = 0;
  };

  [[nodiscard]] std::string_view text(span s) const {
    return {arena_.data() + s.start, s.length};
  }
  [[nodiscard]] span span_of(std::string_view inside) const {
    return {static_cast<std::uint32_t>(inside.data() - arena_.data()),
            static_cast<std::uint32_t>(inside.size())};
  }
  [[nodiscard]] std::uint32_t end() const { return static_cast<std::uint32_t>(arena_.size()); }

  rejection check_headers();
  rejection check_host(header* host);
  rejection check_expectation(std::string_view list);
  rejection check_framing(header const* length, header const* coding);
  rejection join_repeated();

  byte_buffer arena_;
  std::vector<header> headers_;
  std::vector<std::uint64_t> order_;  // scratch of join_repeated
  header current_{};
  span method_, target_, path_, query_, named_, host_name_, host_port_;
  bool bad_name_ = false;
  bool bad_value_ = false;
};

}  // namespace kino::server
