// SPDX-License-Identifier: MIT
//
// request_target: the parsed target of a request.

#pragma once

#include "http/authority.hpp"
#include "http/rejection.hpp"

#include <string_view>

namespace kino::server {

/// A request_target is what a request asks for, as views into its text.
///
/// It is a path, an http or https URL, or for OPTIONS an asterisk (RFC 9112, 3.2). Its percent-encoding must be valid.
/// Visible characters that RFC 3986 does not allow, except "#", are accepted: browsers send them unencoded, and they are
/// not delimiters.
struct request_target {
  std::string_view text;
  std::string_view named;  ///< The authority of a URL as text; otherwise empty.
  authority host;          ///< The parsed authority.
  std::string_view path;   ///< May be empty in a URL.
  std::string_view query;  ///< Without the question mark.

  /// Parses `text`, the target of a request with the method `method`, into `into`. Rejects an invalid one with 400.
  [[nodiscard]] static rejection parse(std::string_view method, std::string_view text, request_target& into);
};

}  // namespace kino::server
