// SPDX-License-Identifier: MIT

#include "http/request_target.hpp"

#include "http/field_list.hpp"
#include "http/grammar.hpp"

#include <cstddef>

namespace kino::server {

rejection request_target::parse(std::string_view method, std::string_view text, request_target& into) {
  if (text.empty()) return {400, "the request target is empty"};
  if (!grammar::percent_encoded(text, grammar::in_target)) {
    return {400,
            "the request target has invalid characters, or a percent sign without two "
            "hexadecimal digits"};
  }
  into.text = text;
  if (text == "*") {
    if (method != "OPTIONS") return {400, "the request target is *, which only OPTIONS allows"};
    into.path = text;
    return {};
  }
  std::string_view rest = text;
  if (rest.front() != '/') {
    std::size_t const scheme = rest.find("://");
    if (scheme == rest.npos) return {400, "the request target is neither a path nor a URL"};
    if (!equal_ignoring_case(rest.substr(0, scheme), "http") &&
        !equal_ignoring_case(rest.substr(0, scheme), "https")) {
      return {400, "the request target is a URL with a scheme other than http and https"};
    }
    rest.remove_prefix(scheme + 3);
    into.named = rest.substr(0, rest.find_first_of("/?"));
    auto const parsed = authority::parse(into.named);
    if (!parsed) return {400, "the request target is a URL without a valid host and port"};
    into.host = *parsed;
    rest.remove_prefix(into.named.size());
  }
  into.path = rest.substr(0, rest.find('?'));
  if (into.path.size() < rest.size()) into.query = rest.substr(into.path.size() + 1);
  return {};
}

}  // namespace kino::server
