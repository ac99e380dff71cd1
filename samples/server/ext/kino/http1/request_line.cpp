// SPDX-License-Identifier: MIT

#include "http1/request_line.hpp"

#include "http/grammar.hpp"

#include <algorithm>
#include <cstddef>

namespace kino::server {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Whether these are the words behind "PROXY " in a header of the PROXY protocol, version 1. None is a valid target.
bool begins_proxy_header(std::string_view words) {
  return words.starts_with("TCP4 ") || words.starts_with("TCP6 ") || words.starts_with("UNKNOWN");
}

}  // namespace

rejection request_line::parse(std::string_view line, request_line& into) {
  static constexpr rejection no_words{
      400, "the request line is not three words separated by single spaces"};
  std::size_t const first = line.find(' ');
  if (first == line.npos) return no_words;
  std::string_view const method = line.substr(0, first);
  if (method.empty() || !std::all_of(method.begin(), method.end(), grammar::in_token)) {
    return {400, "the method has invalid characters"};
  }
  into.method = method;
  if (method == "PROXY" && begins_proxy_header(line.substr(first + 1))) return unexpected_proxy_header;
  std::size_t const second = line.find(' ', first + 1);
  if (second == line.npos || second == first + 1) return no_words;
  std::string_view const version = line.substr(second + 1);
  if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) ||
      version[6] != '.' || !is_digit(version[7])) {
    return {400, "the request line does not end with an HTTP version"};
  }
  if (version[5] != '1') return {505, "only HTTP/1.0 and HTTP/1.1 are supported"};
  into.version = version[7] == '0' ? http_version::http_1_0 : http_version::http_1_1;
  if (method == "CONNECT") return {501, "CONNECT is not supported"};
  return request_target::parse(method, line.substr(first + 1, second - first - 1), into.target);
}

}  // namespace kino::server
