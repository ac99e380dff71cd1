// SPDX-License-Identifier: MIT

#include "base/utf8.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace server = kino::server;

namespace {

// Written from RFC 3629, 3.
std::string encoded(std::uint32_t code) {
  auto const byte = [](std::uint32_t bits) { return static_cast<char>(bits); };
  if (code < 0x80) return {byte(code)};
  if (code < 0x800) return {byte(0xc0 | code >> 6), byte(0x80 | (code & 0x3f))};
  if (code < 0x10000) return {byte(0xe0 | code >> 12), byte(0x80 | (code >> 6 & 0x3f)), byte(0x80 | (code & 0x3f))};
  return {byte(0xf0 | code >> 18), byte(0x80 | (code >> 12 & 0x3f)), byte(0x80 | (code >> 6 & 0x3f)), byte(0x80 | (code & 0x3f))};
}

}  // namespace

TEST_CASE("every character is valid, except for surrogates and what is beyond Unicode") {
  for (std::uint32_t code = 0; code != 0x110100; ++code) {
    std::string const text = encoded(code);
    bool const valid = code < 0x110000 && (code < 0xd800 || code > 0xdfff);
    if (server::is_utf8(text) != valid) FAIL(code);
    if (valid && server::first_character(text).code != code) FAIL(code);
    if (valid && server::first_character(text).size != text.size()) FAIL(code);
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      if (server::is_utf8(text.substr(0, cut))) FAIL(code);
    }
  }
}

TEST_CASE("a byte that is wrong is found wherever it is") {
  CHECK(server::is_utf8(""));
  for (std::size_t length = 1; length != 40; ++length) {
    for (std::size_t at = 0; at != length; ++at) {
      std::string text(length, 'x');
      CHECK(server::is_utf8(text));
      for (unsigned const byte : {0x80U, 0xbfU, 0xc0U, 0xc1U, 0xf5U, 0xffU}) {
        text[at] = static_cast<char>(byte);
        CHECK(!server::is_utf8(text));
      }
    }
  }
}

TEST_CASE("characters that are longer than they need to be are invalid") {
  CHECK(!server::is_utf8("\xc0\xaf"));
  CHECK(!server::is_utf8("\xe0\x9f\xbf"));
  CHECK(!server::is_utf8("\xf0\x8f\xbf\xbf"));
}
