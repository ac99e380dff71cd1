// SPDX-License-Identifier: MIT

#include "http/trailers.hpp"

#include "http/field_name.hpp"

#include <algorithm>

namespace kino::server {

namespace {

constexpr std::string_view needed_before[] = {
    // Framing and the connection.
    "connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    // Routing.
    "forwarded", "host", "max-forwards", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port",
    "x-forwarded-proto", "x-real-ip",
    // Authentication, and the identity of the client.
    "authorization", "cookie", "origin", "proxy-authenticate", "proxy-authorization", "referer", "set-cookie",
    "www-authenticate",
    // Controls and conditions.
    "cache-control", "expect", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since",
    "pragma", "range",
    // What a response means.
    "age", "date", "expires", "location", "retry-after", "vary", "warning",
    // How to read the content.
    "content-encoding", "content-range", "content-type"};

}  // namespace

bool may_be_trailer(std::string_view name) {
  return std::none_of(std::begin(needed_before), std::end(needed_before),
                      [name](std::string_view one) { return folded_name(one) == folded_name(name); });
}

}  // namespace kino::server
