// SPDX-License-Identifier: MIT

#include "http1/head_validator.hpp"

#include "../support/scanning.hpp"

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
  head_validator validator;
  validator.start();
  auto const [what, length] = scan_in_steps(validator, bytes, step);
  return {what, length, validator.fields()};
}

// A second implementation, byte by byte.
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

TEST_CASE("fields end at an empty line, and later bytes are not scanned") {
  CHECK(scan("\r\nrest\n", 100) == outcome{verdict::finished, 2, 0});
  CHECK(scan("a: b\r\nc:\r\n\r\n \n", 100) == outcome{verdict::finished, 12, 2});
  CHECK(scan("a: b\r\nc", 100) == outcome{verdict::more, 7, 2});
}

TEST_CASE("a bare line feed and a folded line are found at their position") {
  CHECK(scan("a: b\nc: d\r\n\r\n", 100).what == verdict::bare_line_feed);
  CHECK(scan("a: b\r\n\n", 100).what == verdict::bare_line_feed);
  CHECK(scan("\n", 100).what == verdict::bare_line_feed);
  CHECK(scan("a: b\r\n c\r\n\r\n", 100) == outcome{verdict::folded, 6, 1});
  CHECK(scan("\ta: b\r\n\r\n", 100) == outcome{verdict::folded, 0, 0});
}

TEST_CASE("start resets the number of fields") {
  head_validator validator;
  static_cast<void>(validator.scan("a: b\r\nc"));
  validator.start();
  CHECK(validator.fields() == 0);
  CHECK(validator.scan("\r\n").what == verdict::finished);
}

TEST_CASE("random texts in pieces of any size get the verdict of the second implementation") {
  static constexpr std::string_view bytes = "\r\n\r\n\r\n: \tab";
  std::mt19937 random(11);
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (std::size_t length = random() % 24; length != 0; --length) {
      // Mostly valid lines, so many texts have several.
      text += random() % 3 ? std::string(1, bytes[random() % bytes.size()]) : "a:b\r\n"s;
    }
    CAPTURE(text);
    outcome const whole = expected(text);
    for (std::size_t step = 1; step <= 5; ++step) REQUIRE(scan(text, step) == whole);
    REQUIRE(scan(text, text.size() + 1) == whole);
  }
}
