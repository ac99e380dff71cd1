// SPDX-License-Identifier: MIT

#include "base/parse_number.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>

using kino::server::parse_number;

TEST_CASE("a number is all of the text, and fits") {
  CHECK(parse_number<std::uint16_t>("0") == 0);
  CHECK(parse_number<std::uint16_t>("007") == 7);
  CHECK(parse_number<std::uint16_t>("65535") == 65535);
  CHECK(parse_number<std::uint64_t>(std::to_string(UINT64_MAX)) == UINT64_MAX);
  for (std::string_view const other : {"", "65536", "99999999999999999999999", "+1", "-1", " 1", "1 ", "1,", "0x1", "1.0", "1e1", "x"}) {
    CAPTURE(other);
    CHECK(!parse_number<std::uint16_t>(other));
  }
  CHECK(!parse_number<std::uint16_t>(std::string_view("1\0", 2)));
  CHECK(!parse_number<std::uint16_t>({}));
}
