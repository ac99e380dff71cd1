// SPDX-License-Identifier: MIT
//
// The host and port of a URL or of a Host header.

#pragma once

#include <optional>
#include <string_view>

namespace kino::server {

/// An authority names a host, with brackets if it is an IPv6 address, and perhaps a port: its
/// decimal digits without leading zeros, or nothing. Both are views into the text.
struct authority {
  std::string_view host;
  std::string_view port;

  /// Parses `text`; returns nothing if it is not `uri-host [":" port]` (RFC 9110, 7.2; RFC 3986, 3.2)
  /// with a non-empty host and a port of at most 65535. User information before the host is an
  /// error, too (RFC 9110, 4.2.4).
  [[nodiscard]] static std::optional<authority> parse(std::string_view text);
};

}  // namespace kino::server
