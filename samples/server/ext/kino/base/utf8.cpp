// SPDX-License-Identifier: MIT

#include "base/utf8.hpp"

#include <cstring>

namespace kino::server {

utf8_character first_character(std::string_view bytes) noexcept {
  auto const lead = static_cast<unsigned char>(bytes[0]);
  if (lead < 0x80) return {lead, 1};
  std::size_t const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || bytes.size() < length) return invalid_utf8;
  std::uint32_t code = lead & (0xff >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    auto const next = static_cast<unsigned char>(bytes[i]);
    if ((next & 0xc0) != 0x80) return invalid_utf8;
    code = code << 6 | (next & 0x3f);
  }
  static constexpr std::uint32_t least[] = {0x80, 0x800, 0x10000};
  if (code < least[length - 2] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return invalid_utf8;
  return {code, length};
}

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    // Most text is ASCII: eight bytes at a time.
    std::uint64_t word = 0;
    if (text.size() >= sizeof word) {
      std::memcpy(&word, text.data(), sizeof word);
      if ((word & 0x8080808080808080) == 0) {
        text.remove_prefix(sizeof word);
        continue;
      }
    }
    utf8_character const first = first_character(text);
    // U+FFFD itself has three bytes.
    if (first.code == invalid_utf8.code && first.size == invalid_utf8.size) return false;
    text.remove_prefix(first.size);
  }
  return true;
}

}  // namespace kino::server
