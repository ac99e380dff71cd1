// SPDX-License-Identifier: MIT
//
// Feeds a scanner, such as head_validator or chunk_header, in pieces.

#pragma once

#include <cstddef>
#include <string_view>

/// Scans `bytes`, `step` at a time, until the verdict is another one than `more`. Returns it, and the length of all that
/// was scanned.
template <class Scanner>
typename Scanner::result scan_in_steps(Scanner& by, std::string_view bytes, std::size_t step) {
  typename Scanner::result all{Scanner::verdict::more, 0};
  while (all.what == Scanner::verdict::more && all.length < bytes.size()) {
    auto const part = by.scan(bytes.substr(all.length, step));
    all = {part.what, all.length + part.length};
  }
  return all;
}
