// SPDX-License-Identifier: MIT

#include "http/accept.hpp"

#include "http/field_list.hpp"

#include <algorithm>
#include <cstddef>

namespace kino::server {

namespace {

// Whether a weight says that its type is not acceptable: "q=0", perhaps with zeros behind a point.
bool refuses(std::string_view parameter) {
  parameter = trimmed(parameter);
  return parameter.size() >= 3 && equal_ignoring_case(parameter.substr(0, 2), "q=") &&
         parameter.find_first_not_of("0.", 2) == parameter.npos;
}

bool names(std::string_view range, std::string_view type) {
  std::size_t const end = std::min(range.find(';'), range.size());
  if (!equal_ignoring_case(trimmed(range.substr(0, end)), type)) return false;
  for (range.remove_prefix(end); !range.empty();) {
    range.remove_prefix(1);
    std::size_t const next = std::min(range.find(';'), range.size());
    if (refuses(range.substr(0, next))) return false;
    range.remove_prefix(next);
  }
  return true;
}

}  // namespace

bool names_media_type(std::string_view accept, std::string_view type) noexcept {
  bool found = false;
  for_each_element(accept, [&](std::string_view range) { found |= names(range, type); });
  return found;
}

}  // namespace kino::server
