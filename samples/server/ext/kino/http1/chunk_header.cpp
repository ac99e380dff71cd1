// SPDX-License-Identifier: MIT

#include "http1/chunk_header.hpp"

#include "http/grammar.hpp"

namespace kino::server {

namespace {

unsigned value_of(char hex) {
  return static_cast<unsigned>(hex <= '9' ? hex - '0' : (hex | 0x20) - 'a' + 10);
}

}  // namespace

chunk_header::state chunk_header::digit(char c) {
  if (size_ >> 60) return state::bad_size;
  size_ = size_ << 4 | value_of(c);
  return state::digits;
}

// What `c` means where the line or the extension may end.
chunk_header::state chunk_header::end(char c, state otherwise) {
  if (c == ';') return state::name_due;
  if (c == '\r') return state::line_feed_due;
  if (c == '\n') return state::bad_line_end;
  return otherwise;
}

chunk_header::state chunk_header::next(char c) {
  switch (state_) {
    case state::first_digit: return grammar::is_hex_digit(c) ? digit(c) : state::bad_size;
    case state::digits:
      if (grammar::is_hex_digit(c)) return digit(c);
      return grammar::is_blank(c) ? state::semicolon_due : end(c, state::bad_size);
    case state::semicolon_due:
      if (grammar::is_blank(c)) return state_;
      return c == ';' ? state::name_due : state::bad_extension;
    case state::name_due:
      if (grammar::is_blank(c)) return state_;
      return grammar::in_token(c) ? state::name : state::bad_extension;
    case state::name:
      if (grammar::in_token(c)) return state_;
      if (c == '=') return state::value_due;
      return grammar::is_blank(c) ? state::name_ended : end(c, state::bad_extension);
    case state::name_ended:
      if (grammar::is_blank(c)) return state_;
      if (c == '=') return state::value_due;
      return c == ';' ? state::name_due : state::bad_extension;
    case state::value_due:
      if (grammar::is_blank(c)) return state_;
      if (c == '"') return state::quoted;
      return grammar::in_token(c) ? state::value : state::bad_extension;
    case state::value:
      if (grammar::in_token(c)) return state_;
      [[fallthrough]];
    case state::quote_ended:
      return grammar::is_blank(c) ? state::semicolon_due : end(c, state::bad_extension);
    case state::quoted:
      if (c == '"') return state::quote_ended;
      if (c == '\\') return state::escaped;
      [[fallthrough]];
    case state::escaped: return grammar::in_value(c) ? state::quoted : state::bad_extension;
    case state::line_feed_due: return c == '\n' ? state::finished : state::bad_line_end;
    default: return state_;
  }
}

chunk_header::result chunk_header::scan(std::string_view bytes) {
  std::size_t length = 0;
  while (length < bytes.size() && state_ < state::finished) state_ = next(bytes[length++]);
  switch (state_) {
    case state::finished: return {verdict::finished, length};
    case state::bad_size: return {verdict::bad_size, length};
    case state::bad_extension: return {verdict::bad_extension, length};
    case state::bad_line_end: return {verdict::bad_line_end, length};
    default: return {verdict::more, length};
  }
}

}  // namespace kino::server
