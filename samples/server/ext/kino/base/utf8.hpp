// SPDX-License-Identifier: MIT
//
// UTF-8 (RFC 3629).

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kino::server {

/// A character, and the number of bytes that encode it.
struct utf8_character {
  std::uint32_t code;
  std::size_t size;
};
/// What takes the place of a byte that begins no valid character.
inline constexpr utf8_character invalid_utf8{0xfffd, 1};

/// The first character of `bytes`, of which there is one at least; invalid_utf8 if it is too long, cut off, a surrogate or
/// beyond Unicode.
[[nodiscard]] utf8_character first_character(std::string_view bytes) noexcept;

/// Whether `text` is valid.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

}  // namespace kino::server
