// SPDX-License-Identifier: MIT
//
// parse_number: reads a number that is all of a text.

#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string_view>
#include <system_error>

namespace kino::server {

/// The number whose decimal digits `text` consists of. None if it has any other character, a sign included, if it is empty,
/// or if the number does not fit into the type.
template <std::unsigned_integral Number>
[[nodiscard]] std::optional<Number> parse_number(std::string_view text) noexcept {
  Number number = 0;
  char const* const end = text.data() + text.size();
  auto const [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

}  // namespace kino::server
