// SPDX-License-Identifier: MIT
//
// The head of one request, in one piece of memory that the next request reuses.

#pragma once

#include "byte_buffer.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace kino::server {

/// A rejection is why a request is not served: the status that says so, and for the log the
/// limit and the value that broke it, where there are such.
struct rejection {
  int status = 0;
  char const* reason = "";
  std::uint64_t limit = 0;
  std::uint64_t value = 0;

  explicit operator bool() const { return status != 0; }
};

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
    bool underscored;  // the client wrote an underscore where others write a dash
  };

  // --- what was asked ---

  std::string_view method;
  unsigned minor_version = 1;
  bool keep_alive = true;
  bool chunked = false;
  bool expects_continue = false;
  std::optional<std::uint64_t> content_length;

  [[nodiscard]] std::string_view target() const { return text(target_); }
  [[nodiscard]] std::string_view path() const { return text(path_); }
  [[nodiscard]] std::string_view query() const { return text(query_); }
  /// Name and port from the target or the Host header; empty if there is none.
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
  [[nodiscard]] bool head_only() const { return method == "HEAD"; }

  // --- for the parser ---

  void clear();
  void append_target(std::string_view bytes);
  void append_name(std::string_view bytes);
  void append_value(std::string_view bytes);
  void end_name();
  void end_value();

  /// Checks what llhttp does not, works out host, path and body, and joins repeated headers.
  [[nodiscard]] rejection finish();

private:
  struct span {
    std::uint32_t start = 0;
    std::uint32_t length = 0;
  };

  [[nodiscard]] std::string_view text(span s) const { return {arena_.data() + s.start, s.length}; }
  [[nodiscard]] std::uint32_t end() const { return static_cast<std::uint32_t>(arena_.size()); }

  rejection check_headers();
  rejection check_framing(header const* length, header const* coding);
  rejection split_target();
  rejection split_host(span authority);
  void join_repeated();

  byte_buffer arena_;
  std::vector<header> headers_;
  header current_{};
  span target_, path_, query_, host_name_, host_port_;
  bool target_names_host_ = false;
  bool bad_name_ = false;
  bool bad_value_ = false;
  bool underscored_ = false;
};

}  // namespace kino::server
