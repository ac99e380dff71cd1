// SPDX-License-Identifier: MIT

#include "http1/head_validator.hpp"

#include "http/grammar.hpp"

#include <cstring>

namespace kino::server {

head_validator::result head_validator::scan(std::string_view bytes) {
  char const* const begin = bytes.data();
  char const* const end = begin + bytes.size();
  auto const so_far = [&](char const* at) { return static_cast<std::size_t>(at - begin); };
  for (char const* at = begin; at != end;) {
    if (line_length_ == 0) {
      if (grammar::is_blank(*at)) return {verdict::folded, so_far(at)};
      fields_ += *at != '\r';
    }
    auto const* feed = static_cast<char const*>(std::memchr(at, '\n', end - at));
    if (!feed) {
      line_length_ += end - at;
      last_ = end[-1];
      break;
    }
    std::size_t const length = line_length_ + (feed - at);
    char const before = feed == at ? last_ : feed[-1];
    if (length == 0 || before != '\r') return {verdict::bare_line_feed, so_far(feed)};
    at = feed + 1;
    line_length_ = 0;
    if (length == 1) return {verdict::finished, so_far(at)};
  }
  return {verdict::more, bytes.size()};
}

}  // namespace kino::server
