// SPDX-License-Identifier: MIT

#include "http/grammar.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <string>

TEST_CASE("every byte of a value is checked, at every position") {
  for (std::size_t length = 1; length <= 20; ++length) {
    for (std::size_t at = 0; at < length; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string value(length, 'v');
        value[at] = static_cast<char>(byte);
        REQUIRE(kino::server::grammar::all_in_value(value) ==
                kino::server::grammar::in_value(value[at]));
      }
    }
  }
  CHECK(kino::server::grammar::all_in_value(""));
  CHECK(!kino::server::grammar::all_in_value("a\tb\x7f"));
}
