// SPDX-License-Identifier: MIT
//
// Which bytes HTTP allows where, as tables.

#pragma once

#include <array>
#include <string_view>

namespace kino::server::characters {

namespace detail {

using table = std::array<bool, 256>;

constexpr table letters_digits_and(std::string_view more) {
  table t{};
  for (int c = '0'; c <= '9'; ++c) t[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) t[c] = t[c + 32] = true;
  for (char const c : more) t[static_cast<unsigned char>(c)] = true;
  return t;
}

inline constexpr table token = letters_digits_and("!#$%&'*+-.^_`|~");
inline constexpr table host = letters_digits_and("-._~%!$&'()*+,;=");
inline constexpr table address = letters_digits_and(":.%");

inline constexpr auto keys = [] {
  std::array<char, 256> t{};
  for (int c = 0; c < 256; ++c) {
    if (!token[c]) continue;
    t[c] = static_cast<char>(c == '-' ? '_' : c >= 'a' && c <= 'z' ? c - 32 : c);
  }
  return t;
}();

}  // namespace detail

/// Whether `c` may stand in a method or a header name (RFC 9110, token).
constexpr bool in_token(char c) { return detail::token[static_cast<unsigned char>(c)]; }
/// What `c` of a header name becomes in a CGI key; NUL if it may not stand in a name.
constexpr char key_of(char c) { return detail::keys[static_cast<unsigned char>(c)]; }
/// Whether `c` may stand in a header value: anything but control characters, tab excepted.
constexpr bool in_value(char c) {
  auto const u = static_cast<unsigned char>(c);
  return (u >= 0x20 && u != 0x7f) || u == '\t';
}
/// Whether `c` may stand in a registered name (RFC 3986).
constexpr bool in_host(char c) { return detail::host[static_cast<unsigned char>(c)]; }
/// Whether `c` may stand between the brackets of an IPv6 address.
constexpr bool in_address(char c) { return detail::address[static_cast<unsigned char>(c)]; }

}  // namespace kino::server::characters
