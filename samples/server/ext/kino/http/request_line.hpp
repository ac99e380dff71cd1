// SPDX-License-Identifier: MIT
//
// request_line: the parsed first line of a request.

#pragma once

#include "http/authority.hpp"
#include "http/rejection.hpp"

#include <string_view>

namespace kino::server {

/// A request_line is a method, a target and a version, as views into the line.
///
/// Any token is a method, known or not. The target is a path, an http or https URL, or for OPTIONS an
/// asterisk (RFC 9112, 3.2). Its percent-encoding must be valid. Visible characters that RFC 3986
/// does not allow, except "#", are accepted: browsers send them unencoded, and they are not
/// delimiters.
struct request_line {
  std::string_view method;
  std::string_view target;
  unsigned minor_version = 1;  ///< 0 or 1: later versions are served as HTTP/1.1.

  std::string_view named;  ///< The authority of a URL as text; otherwise empty.
  authority host;          ///< The parsed authority.
  std::string_view path;   ///< May be empty in a URL.
  std::string_view query;  ///< Without the question mark.

  /// Parses `line`, without its line break, into `into`. Rejects an invalid request line with 400,
  /// other major versions with 505, and CONNECT with 501.
  [[nodiscard]] static rejection parse(std::string_view line, request_line& into);

private:
  [[nodiscard]] rejection split_target();
};

}  // namespace kino::server
