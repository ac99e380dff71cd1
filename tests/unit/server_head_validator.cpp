// SPDX-License-Identifier: MIT

#include "http1/head_validator.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <random>
#include <string>
#include <string_view>

using namespace std::string_literals;
using kino::server::head_validator;
using verdict = head_validator::verdict;

namespace {

struct outcome {
  verdict what = verdict::more;
  std::size_t length = 0;
  std::size_t fields = 0;
  bool operator==(outcome const&) const = default;
};

outcome scan(std::string_view bytes, std::size_t step) {
  head_validator guard;
  guard.start();
  outcome all;
  while (all.what == verdict::more && all.length < bytes.size()) {
    auto const part = guard.scan(bytes.substr(all.length, step));
    all.what = part.what;
    all.length += part.length;
  }
  all.fields = guard.fields();
  return all;
}

// The same, by looking at one byte after the other.
outcome expected(std::string_view bytes) {
  std::string line;
  outcome all;
  for (char const byte : bytes) {
    if (line.empty()) {
      if (byte == ' ' || byte == '\t') return {verdict::folded, all.length, all.fields};
      if (byte != '\r') ++all.fields;
    }
    if (byte == '\n' && !line.ends_with('\r'))
      return {verdict::bare_line_feed, all.length, all.fields};
    ++all.length;
    line += byte;
    if (line == "\r\n") return {verdict::finished, all.length, all.fields};
    if (byte == '\n') line.clear();
  }
  return all;
}

}  // namespace

TEST_CASE("fields end at an empty line, and what follows is not looked at") {
  CHECK(scan("\r\nrest\n", 100) == outcome{verdict::finished, 2, 0});
  CHECK(scan("a: b\r\nc:\r\n\r\n \n", 100) == outcome{verdict::finished, 12, 2});
  CHECK(scan("a: b\r\nc", 100) == outcome{verdict::more, 7, 2});
}

TEST_CASE("a line feed alone and a folded line are seen where they are") {
  CHECK(scan("a: b\nc: d\r\n\r\n", 100).what == verdict::bare_line_feed);
  CHECK(scan("a: b\r\n\n", 100).what == verdict::bare_line_feed);
  CHECK(scan("\n", 100).what == verdict::bare_line_feed);
  CHECK(scan("a: b\r\n c\r\n\r\n", 100) == outcome{verdict::folded, 6, 1});
  CHECK(scan("\ta: b\r\n\r\n", 100) == outcome{verdict::folded, 0, 0});
}

TEST_CASE("a start forgets the fields before") {
  head_validator guard;
  static_cast<void>(guard.scan("a: b\r\nc"));
  guard.start();
  CHECK(guard.fields() == 0);
  CHECK(guard.scan("\r\n").what == verdict::finished);
}

TEST_CASE("pieces of any size are seen like the whole, and both like byte by byte") {
  static constexpr std::string_view bytes = "\r\n\r\n\r\n: \tab";
  std::mt19937 random(11);
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (std::size_t length = random() % 24; length != 0; --length) {
      // Sound lines mostly, or hardly any text would get beyond its first one.
      text += random() % 3 ? std::string(1, bytes[random() % bytes.size()]) : "a:b\r\n"s;
    }
    CAPTURE(text);
    outcome const whole = expected(text);
    for (std::size_t step = 1; step <= 5; ++step) REQUIRE(scan(text, step) == whole);
    REQUIRE(scan(text, text.size() + 1) == whole);
  }
}
