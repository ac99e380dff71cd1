// SPDX-License-Identifier: MIT
//
// head_validator: validates the line ends of header fields and trailers.

#pragma once

#include <cstddef>
#include <string_view>

namespace kino::server {

/// A head_validator refuses the two forms of lines on which servers and proxies disagree: a line
/// feed without a carriage return, and a field continued on the next line (obs-fold). It also counts
/// the fields.
///
/// llhttp 8 accepts a bare line feed, 9 can be configured to, and neither exposes the difference to
/// callbacks. Disagreement about line ends enables request smuggling, so this check runs before the
/// parser sees the bytes. It scans lines with memchr, at negligible cost.
class head_validator {
public:
  enum class verdict { more, finished, bare_line_feed, folded };
  struct result {
    verdict what;
    std::size_t length;  // of the given bytes, what belongs to the fields
  };

  /// Starts where the first field may begin, or the empty line that ends the fields.
  void start() { *this = head_validator(); }

  /// Checks the next bytes. After `finished`, call `start` first.
  [[nodiscard]] result scan(std::string_view bytes);

  /// Fields whose lines have begun since the start.
  [[nodiscard]] std::size_t fields() const { return fields_; }

private:
  std::size_t line_length_ = 0;  // without the line feed
  std::size_t fields_ = 0;
  char last_ = '\0';  // byte of the line, if it has one
};

}  // namespace kino::server
