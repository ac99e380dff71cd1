// SPDX-License-Identifier: MIT

#include "http1/chunk_header.hpp"

#include "../support/scanning.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <regex>
#include <string>
#include <string_view>

using namespace std::string_literals;
using namespace std::string_view_literals;
using kino::server::chunk_header;
using verdict = chunk_header::verdict;

namespace {

struct outcome {
  verdict what = verdict::more;
  std::size_t length = 0;
  std::uint64_t size = 0;
  bool operator==(outcome const&) const = default;
};

outcome scan(std::string_view bytes, std::size_t step) {
  chunk_header header;
  header.start();
  auto const [what, length] = scan_in_steps(header, bytes, step);
  return {what, length, what == verdict::finished ? header.size() : 0};
}

// Whole and byte by byte, which must agree.
outcome scan(std::string_view bytes) {
  outcome const whole = scan(bytes, bytes.size());
  CAPTURE(bytes);
  CHECK(scan(bytes, 1) == whole);
  return whole;
}

}  // namespace

TEST_CASE("a size ends at its line, and what follows is not looked at") {
  CHECK(scan("5\r\nhello") == outcome{verdict::finished, 3, 5});
  CHECK(scan("0\r\n\r\n") == outcome{verdict::finished, 3, 0});
  CHECK(scan("00aF\r\n") == outcome{verdict::finished, 6, 0xaf});
  CHECK(scan("ffffffffffffffff\r\n") == outcome{verdict::finished, 18, UINT64_MAX});
  CHECK(scan(std::string(1000, '0') + "1\r\n") == outcome{verdict::finished, 1003, 1});
  CHECK(scan("12") == outcome{verdict::more, 2, 0});
}

TEST_CASE("what is no size is rejected") {
  for (auto const bytes : {"g\r\n"sv, "\r\n"sv, ";a\r\n"sv, " 1\r\n"sv, "-1\r\n"sv, "+1\r\n"sv,
                           "0x1\r\n"sv, "1_0\r\n"sv, "1.\r\n"sv, "10000000000000000\r\n"sv}) {
    CHECK(scan(bytes).what == verdict::bad_size);
  }
}

TEST_CASE("extensions of every form that recipients must parse are ignored") {
  for (auto const extensions :
       {";a"sv, ";a;b"sv, ";a=b"sv, ";a=b;c=d;e"sv, ";a=\"b\""sv, ";a=\"\""sv, ";a=\"b;c=d\""sv,
        ";a=\"\\\"\\\\\""sv, ";a=\"b\tc \xc3\xa4\""sv, "; a"sv, " ;a"sv,
        "\t ;\t a\t =\t b ;\tc"sv, ";a= \"b\" ; c"sv, ";!#$%&'*+-.^_`|~=!"sv}) {
    CAPTURE(extensions);
    CHECK(scan("5" + std::string(extensions) + "\r\n").what == verdict::finished);
  }
}

TEST_CASE("extensions that are none are rejected") {
  for (auto const extensions :
       {";"sv,           ";;a"sv,           ";a;"sv,    ";=b"sv,       ";a="sv,
        ";a=;b"sv,       ";a b"sv,          ";a=b c"sv, ";a=\"b\"c"sv, ";a=\"b\" c"sv,
        ";\"a\""sv,      ";a=b@c"sv,        ";a@"sv,    ";\xc3\xa4"sv, ";a=\"b\0\""sv,
        ";a=\"\x7f\""sv, ";a=\"\\\x01\""sv, " "sv,      "\t"sv,        ";a "sv,
        ";a=b\t"sv,      ";a=\"b\" "sv,     " a"sv}) {
    CAPTURE(extensions);
    CHECK(scan("5" + std::string(extensions) + "\r\n").what == verdict::bad_extension);
  }
}

TEST_CASE("a line that two parsers could end differently is rejected") {
  for (auto const bytes : {"5\nhello"sv, "5\rhello"sv, "5\r\rhello"sv, "5;a\nb"sv, "5;a\rb"sv,
                           "5;a=b\n"sv, "5;a=\"b\"\n"sv}) {
    CHECK(scan(bytes).what == verdict::bad_line_end);
  }
  CHECK(scan("5;\nhello").what == verdict::bad_extension);
  CHECK(scan("5;a=\"\n").what == verdict::bad_extension);
}

TEST_CASE("random lines are judged as the grammar judges them") {
  std::regex const grammar(
      "[0-9A-Fa-f]{1,16}"
      "([ \\t]*;[ \\t]*[ax1+]+([ \\t]*=[ \\t]*([ax1+]+|\"([ \\tax1;=+,\x80]|\\\\[ "
      "\\tax1;=+,\x80\"\\\\])*\"))?)*\r\n");
  static constexpr std::string_view alphabet = "1a;= \t\"\\\r\nx+,\x80;;==\"\"\r\n\r\n";
  std::mt19937_64 random(4711);
  std::array<int, 2> seen{};
  for (int round = 0; round < 50'000; ++round) {
    std::string bytes(1, "1a;"[random() % 3]);
    for (std::size_t length = random() % 12; length != 0; --length) {
      bytes += alphabet[random() % alphabet.size()];
    }
    bytes += "\r\n";
    auto const got = scan(bytes, 1 + random() % 4);
    std::string const first = bytes.substr(0, bytes.find('\n') + 1);
    bool const sound = std::regex_match(first, grammar);
    ++seen[sound];
    CAPTURE(bytes);
    REQUIRE((got.what == verdict::finished) == sound);
    if (sound) REQUIRE(got.length == first.size());
  }
  CHECK(seen[0] > 1000);
  CHECK(seen[1] > 1000);
}
