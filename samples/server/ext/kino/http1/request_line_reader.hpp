// SPDX-License-Identifier: MIT
//
// request_line_reader: finds the request line in the bytes of a client.

#pragma once

#include "http/rejection.hpp"
#include "http/request.hpp"

#include <cstddef>
#include <string_view>

namespace kino::server {

/// A request_line_reader takes the first line of a request, which may arrive in pieces, and fills in method, target and
/// version.
///
/// Empty lines before it are skipped (RFC 9112, 2.2). A first byte that begins no method is rejected at once: the greeting
/// of another protocol may have no line break to wait for.
///
/// Threads: one at a time.  Throws: std::bad_alloc.
class request_line_reader {
public:
  struct result {
    std::size_t taken;  // of the given bytes
    bool complete;      // the whole line has been taken; `finish` follows
    rejection why;
  };

  /// Starts before the line.
  void start() { *this = request_line_reader(); }
  /// Takes bytes up to the end of the line, and appends the line to the text of `into`.
  [[nodiscard]] result read(std::string_view bytes, request& into);
  /// Parses the complete line, which is the text of `into`. After a rejection, the method is there if it is valid.
  [[nodiscard]] static rejection finish(request& into);

private:
  std::size_t length_ = 0;        // of the line so far
  bool carriage_return_ = false;  // its last byte, held back
};

}  // namespace kino::server
