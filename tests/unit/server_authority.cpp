// SPDX-License-Identifier: MIT

#include "http/authority.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdio>
#include <initializer_list>
#include <optional>
#include <random>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

using namespace std::string_literals;
using kino::server::authority;

namespace {

std::mt19937 random_numbers(5);

std::size_t up_to(std::size_t most) { return random_numbers() % (most + 1); }

template <class Pieces>
std::string several(std::size_t least, std::size_t most, Pieces const& pieces) {
  std::string made;
  for (std::size_t left = least + up_to(most - least); left != 0; --left) {
    made += pieces.begin()[up_to(pieces.size() - 1)];
  }
  return made;
}

std::string hex_digits(std::size_t least, std::size_t most) {
  return several(least, most, "0123456789abcdefABCDEF"s);
}

std::string ipv4() {
  std::string made;
  for (int i = 0; i < 4; ++i) made += (i ? "." : "") + std::to_string(up_to(255));
  return made;
}

// RFC 3986, 3.2.2: groups, a sequence of which may be omitted.
std::string ipv6() {
  bool const with_ipv4 = up_to(3) == 0;
  bool const shortened = up_to(1) == 0;
  std::size_t const all = with_ipv4 ? 6 : 8;
  std::size_t const groups = shortened ? up_to(all - 1) : all;
  std::size_t const before = shortened ? up_to(groups) : groups;
  std::string made;
  for (std::size_t i = 0; i < groups; ++i) {
    if (shortened && i == before) made += "::";
    if (i != 0 && !(shortened && i == before)) made += ":";
    made += hex_digits(1, 4);
  }
  if (shortened && before == groups) made += "::";
  if (with_ipv4) made += (made.empty() || made.back() == ':' ? "" : ":") + ipv4();
  return made;
}

std::string name() {
  static std::vector<std::string> const pieces = {"a", "z", "A", "Z", "0", "9", "-",
                                                  ".", "_", "~", "!", "$", "&", "'",
                                                  "(", ")", "*", "+", ",", ";", "="};
  std::string made;
  for (std::size_t left = 1 + up_to(8); left != 0; --left) {
    made += up_to(5) == 0 ? "%" + hex_digits(2, 2) : several(1, 1, pieces);
  }
  return made;
}

std::string host() {
  switch (up_to(3)) {
    case 0: return "[" + ipv6() + "]";
    case 1: return "[v" + hex_digits(1, 3) + "." + several(1, 6, "az09-._~!$&'()*+,;=:"s) + "]";
    case 2: return ipv4();
    default: return name();
  }
}

// A second definition of an authority: with regular expressions, and for IPv6 by splitting at the double colon.
bool is_ipv6(std::string const& text) {
  static std::regex const group("[0-9A-Fa-f]{1,4}");
  static std::regex const four(
      "(?:(?:[0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])(?:\\.(?!$)|$)){4}");
  // The number of groups in `part`, or nothing if it is invalid. A final IPv4 address counts as two.
  auto const count = [&](std::string const& part, bool at_end) -> std::optional<std::size_t> {
    if (part.empty()) return 0;
    std::size_t found = 0;
    std::size_t start = 0;
    for (;;) {
      std::size_t const colon = part.find(':', start);
      std::string const one = part.substr(start, colon - start);
      bool const last = colon == part.npos;
      if (last && at_end && std::regex_match(one, four)) {
        found += 2;
      } else if (std::regex_match(one, group)) {
        ++found;
      } else {
        return std::nullopt;
      }
      if (last) return found;
      start = colon + 1;
    }
  };
  std::size_t const gap = text.find("::");
  if (gap == text.npos) return count(text, true) == 8u;
  auto const before = count(text.substr(0, gap), false);
  auto const after = count(text.substr(gap + 2), true);
  return before && after && *before + *after <= 7;
}

bool is_authority(std::string const& text) {
  static std::regex const shape(R"((\[(.*)\]|[^:\[\]]+)(?::([0-9]*))?)");
  static std::regex const reg_name(R"((?:[-A-Za-z0-9._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+)");
  static std::regex const future(R"([vV][0-9A-Fa-f]+\.[-A-Za-z0-9._~!$&'()*+,;=:]+)");
  std::smatch parts;
  if (!std::regex_match(text, parts, shape)) return false;
  std::string const inside = parts[2].str();
  bool const sound = text.front() == '[' ? is_ipv6(inside) || std::regex_match(inside, future)
                                         : std::regex_match(parts[1].str(), reg_name);
  std::string port = parts[3].str();
  port.erase(0, port.find_first_not_of('0'));
  return sound && port.size() <= 5 && (port.empty() || std::stoi(port) <= 65535);
}

void agrees(std::string const& text) {
  CAPTURE(text);
  REQUIRE(authority::parse(text).has_value() == is_authority(text));
}

}  // namespace

TEST_CASE("an authority is a host and an optional port") {
  auto const parts = [](std::string_view text, std::string_view host, std::string_view port) {
    auto const parsed = authority::parse(text);
    CAPTURE(text);
    REQUIRE(parsed);
    CHECK(parsed->host == host);
    CHECK(parsed->port == port);
  };
  parts("example.org", "example.org", "");
  parts("example.org:", "example.org", "");
  parts("example.org:8080", "example.org", "8080");
  parts("example.org:000080", "example.org", "80");
  parts("x:0", "x", "0");
  parts("x:000", "x", "0");
  parts("x:65535", "x", "65535");
  parts("[::1]", "[::1]", "");
  parts("[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]", "80");
  parts("[v1f.a:b]:1", "[v1f.a:b]", "1");
  parts("a%2Fb", "a%2Fb", "");
}

TEST_CASE("invalid hosts and ports are rejected") {
  for (std::string const& text : {""s,
                                  ":"s,
                                  ":80"s,
                                  "a b"s,
                                  "a/b"s,
                                  "a?b"s,
                                  "a@b"s,
                                  "u:p@b"s,
                                  "a:b"s,
                                  "a:-1"s,
                                  "a:+1"s,
                                  "a: 1"s,
                                  "a:65536"s,
                                  "a:99999999999999999999"s,
                                  "a:1:2"s,
                                  "a%"s,
                                  "a%4"s,
                                  "a%4g"s,
                                  "a\0b"s,
                                  "\xC3\xA4"s,
                                  "[::1"s,
                                  "::1"s,
                                  "[]"s,
                                  "[::1]x"s,
                                  "[::1]80"s,
                                  "[1:2:3:4:5:6:7]"s,
                                  "[1:2:3:4:5:6:7:8:9]"s,
                                  "[1::2::3]"s,
                                  "[12345::]"s,
                                  "[fe80::1%25lo]"s,
                                  "[fe80::1%lo]"s,
                                  "[127.0.0.1]"s,
                                  "[v1.]"s,
                                  "[v.a]"s,
                                  "[vg.a]"s,
                                  "[v1]"s,
                                  "[::1\0]"s,
                                  "a[b"s,
                                  "a]"s}) {
    CAPTURE(text);
    CHECK_FALSE(authority::parse(text));
  }
}

TEST_CASE("random authorities, valid and mutated, are accepted exactly if they match the grammar") {
  static constexpr std::string_view bytes = "[]:.%/@?# \tvVaG09-~\x7f";
  std::size_t refused = 0;
  for (int round = 0; round < 8000; ++round) {
    std::string text = host();
    if (up_to(2) == 0) text += ":" + several(0, 3, "0123456789"s) + std::to_string(up_to(9));
    if (up_to(9) == 0) text = text.substr(0, text.find_last_of(':') + 1) + "0065535";
    CAPTURE(text);
    agrees(text);
    std::string changed = text;
    for (std::size_t times = 1 + up_to(2); times != 0 && !changed.empty(); --times) {
      std::size_t const at = up_to(changed.size() - 1);
      switch (up_to(3)) {
        case 0: changed.erase(at, 1); break;
        case 1: changed.insert(at, 1, bytes[up_to(bytes.size() - 1)]); break;
        case 2: changed[at] = bytes[up_to(bytes.size() - 1)]; break;
        default: changed.insert(at, changed.substr(at, up_to(6)));
      }
    }
    agrees(changed);
    refused += !authority::parse(changed);
  }
  // There were many of both kinds.
  CHECK(refused > 800);
  CHECK(refused < 7200);
}

TEST_CASE("every host of the grammar is accepted") {
  for (int round = 0; round < 8000; ++round) {
    std::string const named = host();
    std::string const text = named + ":80";
    CAPTURE(text);
    auto const parsed = authority::parse(text);
    REQUIRE(parsed);
    REQUIRE(parsed->host == named);
    REQUIRE(parsed->port == "80");
  }
}
