// SPDX-License-Identifier: MIT

#include <kino/version.hpp>

#include <doctest/doctest.h>

#include <string>

TEST_CASE("the version string consists of the three numbers") {
  auto const expected = std::to_string(KINO_VERSION_MAJOR) + "." +
                        std::to_string(KINO_VERSION_MINOR) + "." +
                        std::to_string(KINO_VERSION_PATCH);
  CHECK(std::string(KINO_VERSION) == expected);
}
