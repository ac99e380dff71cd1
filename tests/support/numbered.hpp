// SPDX-License-Identifier: MIT
//
// Bytes in which a missing, doubled or misplaced one can be detected.

#pragma once

#include <cstddef>
#include <string>

/// `length` bytes of an endless sequence, beginning at `first`; each byte depends on its position.
inline std::string numbered(std::size_t first, std::size_t length) {
  std::string bytes(length, '\0');
  for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<char>((first + i) * 31 % 251);
  return bytes;
}
