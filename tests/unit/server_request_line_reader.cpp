// SPDX-License-Identifier: MIT

#include "http1/request_line_reader.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>

using kino::server::request;
using kino::server::request_line_reader;

namespace {

struct outcome {
  std::size_t taken = 0;
  bool complete = false;
  std::string reason;
  std::string line;
  bool operator==(outcome const&) const = default;
};

// Reads `bytes` in pieces of at most `step` random bytes.
outcome read(std::string_view bytes, std::size_t step, std::mt19937& random) {
  request_line_reader reader;
  request into;
  outcome seen;
  while (seen.taken < bytes.size() && !seen.complete && seen.reason.empty()) {
    auto const got = reader.read(bytes.substr(seen.taken, 1 + random() % step), into);
    seen.taken += got.taken;
    seen.complete = got.complete;
    seen.reason = got.why.reason;
  }
  seen.line = into.text();
  return seen;
}

}  // namespace

TEST_CASE("the line is what is between the empty lines before it and its own end") {
  std::mt19937 random(1);
  std::string const line = "GET /\r/ HTTP/1.1";
  for (std::size_t step : {1, 2, 100}) {
    auto const got = read("\r\n\r\n" + line + "\r\nHost: x", step, random);
    CHECK(got.complete);
    CHECK(got.line == line);
    CHECK(got.taken == line.size() + 6);
  }
}

TEST_CASE("how the bytes arrive changes nothing") {
  std::mt19937 random(2);
  static constexpr std::string_view pieces[] = {"G", "\r", "\n", "\r\n", " ", "/", "{", "\x16", "HTTP/1.1"};
  int complete = 0;
  for (int round = 0; round < 50000; ++round) {
    std::string bytes;
    for (std::size_t left = random() % 10; left != 0; --left) bytes += pieces[random() % std::size(pieces)];
    CAPTURE(bytes);
    outcome const whole = read(bytes, 1, random);
    REQUIRE(read(bytes, 3, random) == whole);
    REQUIRE(read(bytes, bytes.size() + 1, random) == whole);
    complete += whole.complete;
  }
  CHECK(complete > 1000);
}

TEST_CASE("a complete line fills the request, and a bad one still its method") {
  request into;
  into.append_text("HEAD http://x:1/p?q HTTP/1.0");
  REQUIRE_FALSE(request_line_reader::finish(into));
  CHECK(into.method() == "HEAD");
  CHECK(into.path() == "/p");
  CHECK(into.host() == "x:1");
  CHECK(into.version == kino::server::http_version::http_1_0);
  into.clear();
  into.append_text("HEAD nothing HTTP/1.1");
  CHECK(request_line_reader::finish(into).status == 400);
  CHECK(into.method() == "HEAD");
}
