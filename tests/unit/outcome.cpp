// SPDX-License-Identifier: MIT

#include <kino/outcome.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <type_traits>

using kino::ending;
using kino::outcome;

TEST_CASE("an outcome holds the value that was moved in") {
  outcome<std::unique_ptr<int>> got(std::make_unique<int>(42));
  CHECK(got.answered());
  CHECK(got.kind() == ending::answered);
  CHECK(*got.value() == 42);
  std::unique_ptr<int> const taken = std::move(got.value());
  CHECK(*taken == 42);
}

TEST_CASE("an outcome without a value tells the reason") {
  for (ending why : {ending::abandoned, ending::expired}) {
    outcome<int> const none(why);
    CHECK(!none.answered());
    CHECK(none.kind() == why);
  }
}

TEST_CASE("moving an outcome cannot throw") {
  CHECK(std::is_nothrow_move_constructible_v<outcome<std::unique_ptr<int>>>);
  CHECK(!std::is_copy_constructible_v<outcome<std::unique_ptr<int>>>);
}
