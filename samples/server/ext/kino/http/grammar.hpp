// SPDX-License-Identifier: MIT
//
// Character classes of HTTP's grammar, as tables.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace kino::server::grammar {

namespace tables {

using table = std::array<bool, 256>;

constexpr table letters_digits_and(std::string_view more) {
  table t{};
  for (int c = '0'; c <= '9'; ++c) t[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) t[c] = t[c + 32] = true;
  for (char const c : more) t[static_cast<unsigned char>(c)] = true;
  return t;
}

inline constexpr table token = letters_digits_and("!#$%&'*+-.^_`|~");
inline constexpr table name = letters_digits_and("-._~!$&'()*+,;=");
inline constexpr table target = [] {
  table t{};
  for (int c = 0x21; c < 0x7f; ++c) t[c] = c != '#';
  return t;
}();

}  // namespace tables

/// Whether `c` is allowed in a method or a header name (RFC 9110, token).
constexpr bool in_token(char c) { return tables::token[static_cast<unsigned char>(c)]; }
/// Whether `c` is allowed in a header value: anything except control characters other than tab.
constexpr bool in_value(char c) {
  auto const u = static_cast<unsigned char>(c);
  return (u >= 0x20 && u != 0x7f) || u == '\t';
}
/// Whether every byte of `text` is allowed in a header value. Checks eight bytes at a time, because cookies are long.
inline bool all_in_value(std::string_view text) {
  constexpr std::uint64_t ones = 0x0101010101010101;
  constexpr std::uint64_t tops = 0x8080808080808080;
  while (!text.empty()) {
    std::size_t const length = text.size() < 8 ? text.size() : 8;
    std::uint64_t word = ones * ' ';
    std::memcpy(&word, text.data(), length);
    std::uint64_t const rubout = word ^ ones * 0x7f;
    // The top bit of a byte: it is below a space; it is DEL. Exact when no bit is set at all.
    if (((word - ones * ' ') & ~word & tops) | ((rubout - ones) & ~rubout & tops)) {
      for (char const c : text.substr(0, length)) {
        if (!in_value(c)) return false;
      }
    }
    text.remove_prefix(length);
  }
  return true;
}
/// Whether `c` is whitespace within a line: a space or a tab.
constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }
/// `c` in lower case, if it is an ASCII letter.
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
/// Whether `c` is a hexadecimal digit.
constexpr bool is_hex_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}
/// Whether `c` is allowed unencoded in the name of a host (RFC 3986, reg-name).
constexpr bool in_name(char c) { return tables::name[static_cast<unsigned char>(c)]; }
/// Whether `c` is allowed in a request target: see request_line.
constexpr bool in_target(char c) { return tables::target[static_cast<unsigned char>(c)]; }
/// Whether `text` consists of characters in `allowed` and percent signs followed by two hexadecimal
/// digits.
template <class Allowed>
constexpr bool percent_encoded(std::string_view text, Allowed allowed) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      if (!allowed(text[i])) return false;
      continue;
    }
    if (text.size() - i < 3 || !is_hex_digit(text[i + 1]) || !is_hex_digit(text[i + 2])) {
      return false;
    }
    i += 2;
  }
  return true;
}

}  // namespace kino::server::grammar
