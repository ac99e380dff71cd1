// SPDX-License-Identifier: MIT

#include "http/streamed_bodies.hpp"

#include "http/field_list.hpp"

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace kino::server {

namespace {

// "/api" has "/api" and "/api/x", not "/apis"; "/" has all.
bool has_path(std::string_view place, std::string_view path) {
  if (!path.starts_with(place)) return false;
  return path.size() == place.size() || place.ends_with('/') || path[place.size()] == '/';
}

bool has_type(std::string_view beginning, std::string_view type) {
  return equal_ignoring_case(type.substr(0, beginning.size()), beginning);
}

}  // namespace

streamed_bodies::streamed_bodies(std::vector<std::string> entries) {
  for (std::string& entry : entries) {
    if (entry.empty()) throw std::invalid_argument("kino: stream_body has an empty entry");
    (entry.front() == '/' ? paths_ : types_).push_back(std::move(entry));
  }
}

bool streamed_bodies::match(request const& head) const {
  for (std::string const& place : paths_) {
    if (has_path(place, head.path())) return true;
  }
  if (types_.empty()) return false;
  field_section::field const* const found = head.fields().find(known_field::content_type);
  return found && std::any_of(types_.begin(), types_.end(), [value = head.fields().value(*found)](std::string const& type) {
    return has_type(type, value);
  });
}

}  // namespace kino::server
