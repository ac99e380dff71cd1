// SPDX-License-Identifier: MIT
//
// Which values of a request are secret, by their names.

#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace kino::server {

/// Whether the value of the parameter `name` of a URL's query is probably a credential: "password", "access_token",
/// "api_key", "code" and the like. Ignores case and percent-encoding.
[[nodiscard]] bool is_secret_parameter(std::string_view name) noexcept;

/// Whether the header field `name`, in lower case, may carry a credential: "cookie", "authorization", "x_api_key".
/// Dashes and underscores are equal.
[[nodiscard]] bool is_secret_header(std::string_view name) noexcept;

/// The position of the first character from `from` on for which `wanted` is true; the end of the text if there is none.
template <class Wanted>
[[nodiscard]] std::size_t position_of(std::string_view text, std::size_t from, Wanted wanted) {
  while (from < text.size() && !wanted(text[from])) ++from;
  return std::min(from, text.size());
}

/// Calls `part(bytes)` for each part of `parameters`, such as "a=1&b=2", in order, with "[FILTERED]" instead of secret
/// values. A name begins behind any separator; a secret value ends only at the next "&".
template <class Part>
void for_each_public_parameter_part(std::string_view parameters, Part part) {
  std::size_t start = 0;  // of a parameter
  while (start < parameters.size()) {
    std::size_t const end = position_of(parameters, start, [](char c) { return c == '&' || c == ';' || c == '?' || c == '#'; });
    std::string_view const parameter = parameters.substr(start, end - start);
    std::size_t const equals = parameter.find('=');
    if (equals == parameter.npos || !is_secret_parameter(parameter.substr(0, equals))) {
      start = end + 1;
      continue;
    }
    part(parameters.substr(0, start + equals + 1));
    part(std::string_view("[FILTERED]"));
    parameters.remove_prefix(std::min(parameters.find('&', start), parameters.size()));
    start = 1;
  }
  part(parameters);
}

/// Likewise for a URL: its user information, and the parameters of its query and fragment.
template <class Part>
void for_each_public_url_part(std::string_view url, Part part) {
  std::size_t const parameters = std::min({url.find('?'), url.find('#'), url.size()});
  std::string_view before = url.substr(0, parameters);
  if (std::size_t const scheme = before.find("://"); scheme != before.npos) {
    std::string_view const authority = before.substr(scheme + 3, before.find('/', scheme + 3) - (scheme + 3));
    if (std::size_t const at = authority.rfind('@'); at != authority.npos) {
      part(before.substr(0, scheme + 3));
      part(std::string_view("[FILTERED]"));
      before.remove_prefix(scheme + 3 + at);
    }
  }
  part(before);
  if (parameters == url.size()) return;
  part(url.substr(parameters, 1));
  for_each_public_parameter_part(url.substr(parameters + 1), part);
}

}  // namespace kino::server
