// SPDX-License-Identifier: MIT

#include "http/request_line.hpp"

#include "http/grammar.hpp"
#include "http/field_list.hpp"

#include <algorithm>
#include <cstddef>

namespace kino::server {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

rejection request_line::parse(std::string_view line, request_line& into) {
  static constexpr rejection no_words{
      400, "the request line is not three words separated by single spaces"};
  std::size_t const first = line.find(' ');
  if (first == line.npos) return no_words;
  into.method = line.substr(0, first);
  if (into.method.empty() ||
      !std::all_of(into.method.begin(), into.method.end(), grammar::in_token)) {
    return {400, "the method has invalid characters"};
  }
  std::size_t const second = line.find(' ', first + 1);
  if (second == line.npos || second == first + 1) return no_words;
  into.target = line.substr(first + 1, second - first - 1);
  std::string_view const version = line.substr(second + 1);
  if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) ||
      version[6] != '.' || !is_digit(version[7])) {
    return {400, "the request line does not end with an HTTP version"};
  }
  if (version[5] != '1') return {505, "only HTTP/1.0 and HTTP/1.1 are supported"};
  into.minor_version = version[7] == '0' ? 0 : 1;
  if (into.method == "CONNECT") return {501, "CONNECT is not supported"};
  return into.split_target();
}

rejection request_line::split_target() {
  if (!grammar::percent_encoded(target, grammar::in_target)) {
    return {400,
            "the request target has invalid characters, or a percent sign without two "
            "hexadecimal digits"};
  }
  std::string_view rest = target;
  if (rest == "*") {
    if (method != "OPTIONS") return {400, "the request target is *, which only OPTIONS allows"};
    path = rest;
    return {};
  }
  if (rest.front() != '/') {
    std::size_t const scheme = rest.find("://");
    if (scheme == rest.npos) return {400, "the request target is neither a path nor a URL"};
    if (!equal_ignoring_case(rest.substr(0, scheme), "http") &&
        !equal_ignoring_case(rest.substr(0, scheme), "https")) {
      return {400, "the request target is a URL with a scheme other than http and https"};
    }
    rest.remove_prefix(scheme + 3);
    named = rest.substr(0, rest.find_first_of("/?"));
    auto const parsed = authority::parse(named);
    if (!parsed) return {400, "the request target is a URL without a valid host and port"};
    host = *parsed;
    rest.remove_prefix(named.size());
  }
  path = rest.substr(0, rest.find('?'));
  if (path.size() < rest.size()) query = rest.substr(path.size() + 1);
  return {};
}

}  // namespace kino::server
