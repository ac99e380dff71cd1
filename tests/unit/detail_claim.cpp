// SPDX-License-Identifier: MIT

#include <kino/detail/claim.hpp>

#include <doctest/doctest.h>

#include <vector>

using kino::ending;
using kino::detail::claim;

namespace {

struct recording_claim final : claim {
  std::vector<ending> concluded;
  int releases = 0;

private:
  void conclude(ending how) noexcept override { concluded.push_back(how); }
  void released() noexcept override { ++releases; }
};

}  // namespace

TEST_CASE("only the first claim succeeds") {
  recording_claim place;
  place.open();
  CHECK(!place.ended());
  CHECK(place.try_claim(ending::answered));
  CHECK(place.ended());
  CHECK(!place.try_claim(ending::answered));
  CHECK(!place.end(ending::expired));
  CHECK(place.concluded.empty());
  place.drop_strong();
  CHECK(place.concluded.empty());
  CHECK(place.releases == 1);
}

TEST_CASE("dropping the last strong reference abandons an open request, then releases it") {
  recording_claim place;
  place.open();
  place.add_strong();
  place.drop_strong();
  CHECK(place.concluded.empty());
  place.drop_strong();
  CHECK(place.concluded == std::vector{ending::abandoned});
  CHECK(place.releases == 1);
}

TEST_CASE("a weak reference keeps the memory, but not the request open") {
  recording_claim place;
  place.open();
  place.add_weak();
  place.add_weak();
  place.drop_strong();
  CHECK(place.concluded == std::vector{ending::abandoned});
  CHECK(place.releases == 0);
  CHECK(!place.end(ending::expired));
  place.drop_weak();
  CHECK(place.releases == 0);
  place.drop_weak();
  CHECK(place.releases == 1);
}

TEST_CASE("a request is concluded once, with the first reason") {
  recording_claim place;
  place.open();
  CHECK(place.end(ending::expired));
  CHECK(!place.end(ending::abandoned));
  place.drop_strong();
  CHECK(place.concluded == std::vector{ending::expired});
}

TEST_CASE("a rearmed claim can be used again") {
  recording_claim place;
  for (int round = 1; round <= 3; ++round) {
    place.open();
    CHECK(!place.ended());
    CHECK(place.try_claim(ending::answered));
    place.drop_strong();
    CHECK(place.releases == round);
    place.rearm();
  }
}
