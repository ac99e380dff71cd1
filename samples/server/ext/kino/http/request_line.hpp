// SPDX-License-Identifier: MIT
//
// The first line of a request.

#pragma once

#include "http/authority.hpp"
#include "http/rejection.hpp"

#include <string_view>

namespace kino::server {

/// A request_line is a method, a target and a version, as views into the line.
///
/// Every method that is a token is one, known or not. The target is a path, a URL of http or
/// https, or for OPTIONS an asterisk (RFC 9112, 3.2). Its percent-encoding has to be sound. The
/// visible characters that RFC 3986 leaves out, except "#", are let through: browsers send them
/// as they are, and they separate nothing.
struct request_line {
  std::string_view method;
  std::string_view target;
  unsigned minor_version = 1;  ///< 0 or 1: what is later than HTTP/1.1 is answered as that.

  std::string_view named;  ///< The authority of a URL, as it stands there; else empty.
  authority host;          ///< The same, taken apart.
  std::string_view path;   ///< May be empty in a URL.
  std::string_view query;  ///< Without the question mark.

  /// Takes `line`, which ends before its line break, apart into `into`. 400 for what is no
  /// request line, 505 for other major versions, 501 for CONNECT.
  [[nodiscard]] static rejection parse(std::string_view line, request_line& into);

private:
  [[nodiscard]] rejection split_target();
};

}  // namespace kino::server
