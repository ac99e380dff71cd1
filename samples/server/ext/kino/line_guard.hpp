// SPDX-License-Identifier: MIT
//
// Watches the line ends of a request's head.

#pragma once

#include <cstddef>
#include <string_view>

namespace kino::server {

/// A line_guard refuses the two line shapes on which servers and proxies disagree: a line feed
/// without a carriage return, and a header continued on the next line (obs-fold). It also
/// refuses a request line that is not three words, one space apart, the last in HTTP's name.
///
/// llhttp 8 accepts the former and 9 can be told to, both take RTSP and ICE for HTTP and any
/// number of spaces, and neither shows callbacks the difference. A disagreement about where a
/// line or a word ends is how requests are smuggled, so this is looked at before the parser sees
/// the bytes. It scans by line with memchr, which costs next to nothing.
class line_guard {
public:
  enum class verdict { more, finished, bare_line_feed, folded, spaced, not_http };
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
  void remember(char const* bytes, std::size_t length);
  [[nodiscard]] bool ends_in_http() const;

  char tail_[9] = {};  // the last bytes of the request line
  std::size_t spaces_ = 0;       // in the request line
  std::size_t line_length_ = 0;  // without the line feed
  char last_ = '\0';
  bool seen_line_ = false;
  bool in_headers_ = false;  // a request line cannot be folded into
};

}  // namespace kino::server
