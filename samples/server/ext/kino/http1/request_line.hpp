// SPDX-License-Identifier: MIT
//
// request_line: the parsed first line of a request.

#pragma once

#include "http/http_version.hpp"
#include "http/rejection.hpp"
#include "http/request_target.hpp"

#include <string_view>

namespace kino::server {

/// Why a header of the PROXY protocol is no request.
inline constexpr rejection unexpected_proxy_header{
    400, "the client sends the PROXY protocol and is not in trusted_proxies, or the address has no proxy_protocol"};

/// A request_line is a method, a target and a version, as views into the line. Any token is a method, known or not.
struct request_line {
  std::string_view method;
  request_target target;
  http_version version = http_version::http_1_1;

  /// Parses `line`, without its line break, into `into`. Rejects an invalid request line with 400,
  /// other major versions with 505, and CONNECT with 501. After a rejection, the method is still there if it is valid.
  [[nodiscard]] static rejection parse(std::string_view line, request_line& into);
};

}  // namespace kino::server
