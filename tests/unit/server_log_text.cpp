// SPDX-License-Identifier: MIT

#include "observers/log_text.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

using namespace kino::server;
using namespace std::string_view_literals;

namespace {

constexpr std::string_view hex = "0123456789abcdef";

// Byte by byte, for bytes of ASCII.
std::string escaped(std::string_view bytes, bool json) {
  std::string made;
  for (char const c : bytes) {
    auto const code = static_cast<unsigned char>(c);
    if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
      made += c;
    } else if (json && (c == '"' || c == '\\')) {
      made.append(1, '\\').append(1, c);
    } else {
      made.append(json ? "\\u00" : "\\x").append(1, hex[code >> 4]).append(1, hex[code & 15]);
    }
  }
  return made;
}

std::string appended(std::string_view bytes, void (*append)(line_buffer&, std::string_view)) {
  line_buffer out;
  append(out, bytes);
  return std::string(out.text());
}

}  // namespace

TEST_CASE("a byte is escaped wherever it is in a text of any length, and its neighbours are not") {
  for (std::size_t length = 1; length != 50; ++length) {
    for (std::size_t at = 0; at != length; ++at) {
      for (char const odd : "\0\t\n\x1f\x7f\"\\ !#[]~"sv) {
        std::string text(length, 'a');
        text[at] = odd;
        CAPTURE(text);
        REQUIRE(appended(text, append_escaped) == escaped(text, false));
        REQUIRE(appended(text, append_json_escaped) == escaped(text, true));
      }
      std::string text(length, 'a');
      text[at] = '\xe9';  // not UTF-8
      REQUIRE(appended(text, append_escaped) == text.substr(0, at) + "\\xe9" + text.substr(at + 1));
      REQUIRE(appended(text, append_json_escaped) == text.substr(0, at) + "\\ufffd" + text.substr(at + 1));
    }
  }
}

TEST_CASE("seconds have six decimals") {
  auto const seconds = [](long long nanoseconds) {
    line_buffer out;
    append_seconds(out, std::chrono::nanoseconds(nanoseconds));
    return std::string(out.text());
  };
  CHECK(seconds(-1) == "0.000000");
  CHECK(seconds(999) == "0.000000");
  CHECK(seconds(1'000) == "0.000001");
  CHECK(seconds(9'999'999'999) == "9.999999");
  CHECK(seconds(10'000'000'000) == "10.000000");
  CHECK(seconds(123'456'789'012'345) == "123456.789012");
}
