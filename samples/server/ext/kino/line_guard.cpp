// SPDX-License-Identifier: MIT

#include "line_guard.hpp"

#include <algorithm>
#include <cstring>

namespace kino::server {

line_guard::result line_guard::scan(std::string_view bytes) {
  char const* const begin = bytes.data();
  char const* const end = begin + bytes.size();
  for (char const* at = begin; at != end;) {
    if (line_length_ == 0 && in_headers_ && (*at == ' ' || *at == '\t')) {
      return {verdict::folded, static_cast<std::size_t>(at - begin)};
    }
    auto const* feed = static_cast<char const*>(std::memchr(at, '\n', end - at));
    if (!seen_line_) remember(at, feed ? feed - at : end - at);
    if (!feed) {
      line_length_ += end - at;
      last_ = end[-1];
      break;
    }
    std::size_t const length = line_length_ + (feed - at);
    char const before = feed == at ? last_ : feed[-1];
    if (length == 0 || before != '\r') {
      return {verdict::bare_line_feed, static_cast<std::size_t>(feed - begin)};
    }
    at = feed + 1;
    line_length_ = 0;
    if (length > 1) {
      if (!seen_line_ && !ends_in_http()) {
        return {verdict::not_http, static_cast<std::size_t>(at - begin)};
      }
      if (!seen_line_ && spaces_ != 2) {
        return {verdict::spaced, static_cast<std::size_t>(at - begin)};
      }
      seen_line_ = in_headers_ = true;
    } else if (seen_line_) {
      return {verdict::finished, static_cast<std::size_t>(at - begin)};
    }
  }
  return {verdict::more, bytes.size()};
}

void line_guard::remember(char const* bytes, std::size_t length) {
  spaces_ += static_cast<std::size_t>(std::count(bytes, bytes + length, ' '));
  std::size_t const fresh = std::min(length, sizeof tail_);
  std::memmove(tail_, tail_ + fresh, sizeof tail_ - fresh);
  std::memcpy(tail_ + sizeof tail_ - fresh, bytes + length - fresh, fresh);
}

bool line_guard::ends_in_http() const {
  return std::memcmp(tail_, "HTTP/", 5) == 0 && tail_[8] == '\r';
}

}  // namespace kino::server
