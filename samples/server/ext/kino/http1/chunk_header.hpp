// SPDX-License-Identifier: MIT
//
// chunk_header: parses the line that begins a chunk.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kino::server {

/// A chunk_header parses the size of a chunk, validates its extensions and ignores them (RFC 9112, 7.1
/// and 7.1.1).
///
/// The whole grammar is accepted: names with and without values, quoted values, and the whitespace
/// around separators that recipients must still parse ("bad whitespace", RFC 9110, 5.6.3). Everything
/// else is rejected, because parsers that disagree about the end of this line enable request smuggling.
///
/// Any number of leading zeros is allowed; limiting the line is the caller's task. One byte of state
/// machine per byte of input; nothing is allocated.
class chunk_header {
public:
  enum class verdict { more, finished, bad_size, bad_extension, bad_line_end };
  struct result {
    verdict what;
    std::size_t length;  // of the given bytes, what belongs to the line
  };

  /// Starts where the first digit is due.
  void start() { *this = chunk_header(); }

  /// Parses the next bytes. After anything but `more`, call `start` first.
  [[nodiscard]] result scan(std::string_view bytes);

  /// Of the chunk's data, in bytes; after `finished`.
  [[nodiscard]] std::uint64_t size() const { return size_; }

private:
  enum class state : std::uint8_t {
    first_digit,
    digits,
    semicolon_due,  // behind whitespace
    name_due,
    name,
    name_ended,  // by whitespace
    value_due,
    value,
    quoted,
    escaped,
    quote_ended,
    line_feed_due,
    finished,
    bad_size,
    bad_extension,
    bad_line_end,
  };

  [[nodiscard]] state next(char c);
  [[nodiscard]] state digit(char c);
  [[nodiscard]] static state end(char c, state otherwise);

  std::uint64_t size_ = 0;
  state state_ = state::first_digit;
};

}  // namespace kino::server
