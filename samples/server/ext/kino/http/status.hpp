// SPDX-License-Identifier: MIT
//
// The status codes of HTTP and their rules for content.

#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace kino::server {

/// The content that a response may have, by its status (RFC 9110, 6.4.1, 8.6 and 15).
enum class content_rule : std::uint8_t {
  interim,         ///< 1xx: not a final response.
  other_protocol,  ///< 101: the end of HTTP on the connection; what follows is not content.
  usual,           ///< Content, unless the request was HEAD.
  none,            ///< 204: no content and no Content-Length.
  zero,            ///< 205: no content, and a Content-Length of 0.
  described,       ///< 304: no content; Content-Length is that of the omitted content.
};

/// One row of the table: a code, its rule and its registered reason phrase.
struct status_entry {
  std::uint16_t code;
  content_rule content;
  std::string_view reason;
};

/// The registered status codes in ascending order, and the well-known 418.
inline constexpr auto statuses = std::to_array<status_entry>({
    {100, content_rule::interim, "Continue"},
    {101, content_rule::other_protocol, "Switching Protocols"},
    {102, content_rule::interim, "Processing"},
    {103, content_rule::interim, "Early Hints"},
    {104, content_rule::interim, "Upload Resumption Supported"},
    {200, content_rule::usual, "OK"},
    {201, content_rule::usual, "Created"},
    {202, content_rule::usual, "Accepted"},
    {203, content_rule::usual, "Non-Authoritative Information"},
    {204, content_rule::none, "No Content"},
    {205, content_rule::zero, "Reset Content"},
    {206, content_rule::usual, "Partial Content"},
    {207, content_rule::usual, "Multi-Status"},
    {208, content_rule::usual, "Already Reported"},
    {226, content_rule::usual, "IM Used"},
    {300, content_rule::usual, "Multiple Choices"},
    {301, content_rule::usual, "Moved Permanently"},
    {302, content_rule::usual, "Found"},
    {303, content_rule::usual, "See Other"},
    {304, content_rule::described, "Not Modified"},
    {305, content_rule::usual, "Use Proxy"},
    {307, content_rule::usual, "Temporary Redirect"},
    {308, content_rule::usual, "Permanent Redirect"},
    {400, content_rule::usual, "Bad Request"},
    {401, content_rule::usual, "Unauthorized"},
    {402, content_rule::usual, "Payment Required"},
    {403, content_rule::usual, "Forbidden"},
    {404, content_rule::usual, "Not Found"},
    {405, content_rule::usual, "Method Not Allowed"},
    {406, content_rule::usual, "Not Acceptable"},
    {407, content_rule::usual, "Proxy Authentication Required"},
    {408, content_rule::usual, "Request Timeout"},
    {409, content_rule::usual, "Conflict"},
    {410, content_rule::usual, "Gone"},
    {411, content_rule::usual, "Length Required"},
    {412, content_rule::usual, "Precondition Failed"},
    {413, content_rule::usual, "Content Too Large"},
    {414, content_rule::usual, "URI Too Long"},
    {415, content_rule::usual, "Unsupported Media Type"},
    {416, content_rule::usual, "Range Not Satisfiable"},
    {417, content_rule::usual, "Expectation Failed"},
    {418, content_rule::usual, "I'm a teapot"},
    {421, content_rule::usual, "Misdirected Request"},
    {422, content_rule::usual, "Unprocessable Content"},
    {423, content_rule::usual, "Locked"},
    {424, content_rule::usual, "Failed Dependency"},
    {425, content_rule::usual, "Too Early"},
    {426, content_rule::usual, "Upgrade Required"},
    {428, content_rule::usual, "Precondition Required"},
    {429, content_rule::usual, "Too Many Requests"},
    {431, content_rule::usual, "Request Header Fields Too Large"},
    {451, content_rule::usual, "Unavailable For Legal Reasons"},
    {500, content_rule::usual, "Internal Server Error"},
    {501, content_rule::usual, "Not Implemented"},
    {502, content_rule::usual, "Bad Gateway"},
    {503, content_rule::usual, "Service Unavailable"},
    {504, content_rule::usual, "Gateway Timeout"},
    {505, content_rule::usual, "HTTP Version Not Supported"},
    {506, content_rule::usual, "Variant Also Negotiates"},
    {507, content_rule::usual, "Insufficient Storage"},
    {508, content_rule::usual, "Loop Detected"},
    {510, content_rule::usual, "Not Extended"},
    {511, content_rule::usual, "Network Authentication Required"},
});

static_assert(std::is_sorted(statuses.begin(), statuses.end(),
                             [](auto const& a, auto const& b) { return a.code < b.code; }));

/// The row of `code`. An unregistered code has no reason phrase, and the rule of its class.
[[nodiscard]] constexpr status_entry status_of(std::uint16_t code) {
  auto const* const row = std::lower_bound(
      statuses.begin(), statuses.end(), code,
      [](auto const& entry, std::uint16_t wanted) { return entry.code < wanted; });
  if (row != statuses.end() && row->code == code) return *row;
  return {code, code < 200 ? content_rule::interim : content_rule::usual, {}};
}

}  // namespace kino::server
