// SPDX-License-Identifier: MIT
//
// Header values that are lists (RFC 9110, 5.6.1).

#pragma once

#include "http/grammar.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace kino::server {

/// Whether the two texts are equal, ignoring the case of ASCII letters.
[[nodiscard]] constexpr bool equal_ignoring_case(std::string_view one, std::string_view other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](char a, char b) { return grammar::lower(a) == grammar::lower(b); });
}

/// `text` without the spaces and tabs around it.
[[nodiscard]] constexpr std::string_view trimmed(std::string_view text) {
  while (!text.empty() && grammar::is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && grammar::is_blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Calls `visit` with each element of a comma-separated list. Empty elements are skipped, as RFC 9110
/// requires. A comma in a quoted string also separates: use this only for lists of tokens.
template <class Visit>
constexpr void for_each_element(std::string_view list, Visit visit) {
  while (!list.empty()) {
    std::size_t const comma = std::min(list.find(','), list.size());
    std::string_view const element = trimmed(list.substr(0, comma));
    if (!element.empty()) visit(element);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

}  // namespace kino::server
