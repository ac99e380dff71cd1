// SPDX-License-Identifier: MIT
//
// Watches the line ends of a request's head.

#pragma once

#include <cstddef>
#include <string_view>

namespace kino::server {

/// A line_guard refuses the two line shapes on which servers and proxies disagree: a line feed
/// without a carriage return, and a header continued on the next line (obs-fold).
///
/// llhttp 8 accepts both and 9 can be told to, and neither shows line ends to callbacks. A
/// disagreement about where a line ends is how requests are smuggled, so this is looked at
/// before the parser sees the bytes. It scans by line with memchr, which costs next to nothing.
class line_guard {
public:
  enum class verdict { more, finished, bare_line_feed, folded };
  struct result {
    verdict what;
    std::size_t length;  // of the given bytes, what belongs to the head
  };

  /// Starts at a request line, before which empty lines are allowed.
  void start_head() { *this = line_guard(); }
  /// Starts at the trailers of a chunked body, which an empty line ends at once.
  void start_trailers() {
    *this = line_guard();
    seen_line_ = true;
  }

  /// Looks at the next bytes; after `finished`, nothing more until the next start.
  [[nodiscard]] result scan(std::string_view bytes);

private:
  std::size_t line_length_ = 0;  // without the line feed
  char last_ = '\0';
  bool seen_line_ = false;
  bool in_headers_ = false;  // a request line cannot be folded into
};

}  // namespace kino::server
