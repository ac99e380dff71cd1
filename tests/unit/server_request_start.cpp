// SPDX-License-Identifier: MIT
//
// Times that proxies write into X-Request-Start.

#include "http/request_start.hpp"

#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>

namespace server = kino::server;
using server::request_start_of;

namespace {

// Microseconds of Unix time; -1: none.
long long microseconds(std::string_view value) {
  auto const at = request_start_of(value);
  return at ? std::chrono::duration_cast<std::chrono::microseconds>(at->time_since_epoch()).count() : -1;
}

}  // namespace

TEST_CASE("seconds, milliseconds and microseconds are told apart") {
  CHECK(microseconds("t=1512379167.574") == 1512379167'574'000);
  CHECK(microseconds("1512379167.574") == 1512379167'574'000);
  CHECK(microseconds("t=1512379167") == 1512379167'000'000);
  CHECK(microseconds("1512379167.5") == 1512379167'500'000);
  CHECK(microseconds("1512379167.5749") == 1512379167'574'000);
  CHECK(microseconds("1512379167574") == 1512379167'574'000);
  CHECK(microseconds("t=1512379167574") == 1512379167'574'000);
  CHECK(microseconds("t=1512379167574.25") == 1512379167'574'250);
  CHECK(microseconds("t=1512379167574001") == 1512379167'574'001);
}

TEST_CASE("what is no time is none") {
  for (char const* text : {"", "t=", "t", "-1", "+1512379167", "12", "999999999", "1e12", "1512379167,574", "1512379167.5x", "nan",
                           "18446744073709551616", "18446744073709551615", "t=t=1512379167", " 1512379167", "1512379167 "}) {
    INFO(text);
    CHECK(microseconds(text) == -1);
  }
}

TEST_CASE("any bytes are a time or none") {
  stress::dice chance{1};
  constexpr std::string_view bytes = "0123456789.t=-+e ";
  for (std::uint32_t round = 0; round != stress::scaled(100'000); ++round) {
    std::string text;
    while (!chance.once_in(20)) text += bytes[chance.below(static_cast<std::uint32_t>(bytes.size()))];
    long long const found = microseconds(text);
    REQUIRE((found == -1 || found >= 1'000'000'000'000'000));
  }
}
