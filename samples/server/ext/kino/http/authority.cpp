// SPDX-License-Identifier: MIT

#include "http/authority.hpp"

#include "base/ip_address.hpp"
#include "base/parse_number.hpp"
#include "http/grammar.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace kino::server {

namespace {

bool is_ipv6(std::string_view text) { return text.find(':') != text.npos && ip_address::parse(text); }

// "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )
bool is_future_address(std::string_view text) {
  if (text.empty() || (text.front() != 'v' && text.front() != 'V')) return false;
  std::size_t const dot = text.find('.');
  if (dot == text.npos || dot == 1 || dot + 1 == text.size()) return false;
  std::string_view const version = text.substr(1, dot - 1);
  std::string_view const address = text.substr(dot + 1);
  return std::all_of(version.begin(), version.end(), grammar::is_hex_digit) &&
         std::all_of(address.begin(), address.end(),
                     [](char c) { return c == ':' || grammar::in_name(c); });
}

// An IPv4 address has the form of a name.
bool is_name(std::string_view text) {
  return !text.empty() && grammar::percent_encoded(text, grammar::in_name);
}

}  // namespace

std::optional<authority> authority::parse(std::string_view text) {
  authority made;
  if (!text.empty() && text.front() == '[') {
    std::size_t const bracket = text.find(']');
    if (bracket == text.npos) return std::nullopt;
    std::string_view const address = text.substr(1, bracket - 1);
    if (!is_ipv6(address) && !is_future_address(address)) return std::nullopt;
    made.host = text.substr(0, bracket + 1);
  } else {
    made.host = text.substr(0, text.find(':'));
    if (!is_name(made.host)) return std::nullopt;
  }
  std::string_view port = text.substr(made.host.size());
  if (port.empty()) return made;
  if (port.front() != ':') return std::nullopt;
  port.remove_prefix(1);
  if (port.empty()) return made;
  while (port.size() > 1 && port.front() == '0') port.remove_prefix(1);
  if (!parse_number<std::uint16_t>(port)) return std::nullopt;
  made.port = port;
  return made;
}

}  // namespace kino::server
