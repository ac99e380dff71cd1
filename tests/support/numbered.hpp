// SPDX-License-Identifier: MIT
//
// Bytes that show when some of them are missing, doubled or out of order.

#pragma once

#include <cstddef>
#include <string>

/// The bytes from `first` on of a sequence without an end, in which each byte depends on its position.
inline std::string numbered(std::size_t first, std::size_t length) {
  std::string bytes(length, '\0');
  for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<char>((first + i) * 31 % 251);
  return bytes;
}
