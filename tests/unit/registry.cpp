// SPDX-License-Identifier: MIT

#include <kino/registry.hpp>

#include "../support/in_child.hpp"
#include "../support/private_access.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using names = kino::registry<std::string>;

KINO_TEST_REACH(store_of, names, places_)
using store = std::remove_reference_t<decltype(store_of(std::declval<names&>()))>;
KINO_TEST_REACH(segments_of, store, segments_)
KINO_TEST_REACH(used_of, store, used_)
KINO_TEST_REACH(mutex_of, store, mutex_)

namespace {

constexpr unsigned index_bits = 24;
constexpr unsigned generation_bits = 28;

std::uint64_t index_of(std::uint64_t id) {
  return id & ((std::uint64_t{1} << index_bits) - 1);
}
std::uint64_t generation_of(std::uint64_t id) {
  return id >> index_bits & ((std::uint64_t{1} << generation_bits) - 1);
}

// Counts its live objects.
struct counted {
  static inline std::atomic<int> alive{0};
  std::uint64_t number;
  explicit counted(std::uint64_t n) : number(n) { ++alive; }
  counted(counted const&) = delete;
  counted& operator=(counted const&) = delete;
  ~counted() {
    number = 0;
    --alive;
  }
};

struct unbuildable {
  explicit unbuildable(bool fail) {
    if (fail) throw std::runtime_error("no");
  }
};

}  // namespace

TEST_CASE("an id finds its object until it is erased, which succeeds once") {
  names registry;
  auto const id = registry.insert("amber");
  auto const other = registry.insert(3u, 'x');
  CHECK(id != other);
  REQUIRE(registry.find(id));
  CHECK(*registry.find(id) == "amber");
  CHECK(registry.find(other)->size() == 3);
  CHECK(registry.erase(id));
  CHECK(!registry.find(id));
  CHECK(!registry.erase(id));
  CHECK(*registry.find(other) == "xxx");
}

TEST_CASE("an id is a positive Fixnum") {
  for (int i = 0; i < 1100; ++i) {  // more registries than there are salts
    names registry;
    auto const id = registry.insert("a");
    CHECK(id > 0);
    CHECK(id < std::uint64_t{1} << 62);
  }
}

TEST_CASE("a stale id does not find the object that reuses its place") {
  names registry;
  auto const first = registry.insert("first");
  CHECK(registry.erase(first));
  auto const second = registry.insert("second");
  CHECK(index_of(first) == index_of(second));
  CHECK(first != second);
  CHECK(!registry.find(first));
  CHECK(!registry.erase(first));
  CHECK(*registry.find(second) == "second");
}

TEST_CASE("an id of another registry is not found") {
  names one;
  names two;
  auto const id = one.insert("one");
  auto const other = two.insert("two");
  CHECK(index_of(id) == index_of(other));
  CHECK(!two.find(id));
  CHECK(!two.erase(id));
  CHECK(*one.find(id) == "one");
}

TEST_CASE("an invalid id is not found") {
  names registry;
  auto const id = registry.insert("a");
  for (unsigned bit = 0; bit < 64; ++bit) {
    CAPTURE(bit);
    CHECK(!registry.find(id ^ std::uint64_t{1} << bit));
    CHECK(!registry.erase(id ^ std::uint64_t{1} << bit));
  }
  CHECK(!registry.find(0));
  CHECK(!registry.find(std::numeric_limits<std::uint64_t>::max()));
  // The largest index, in a segment that does not exist.
  CHECK(!registry.find(id | ((std::uint64_t{1} << index_bits) - 1)));
  names empty;
  CHECK(!empty.find(id));
}

TEST_CASE("each reuse of a place increments its generation") {
  names registry;
  std::set<std::uint64_t> seen;
  std::uint64_t last = 0;
  for (int i = 0; i < 1000; ++i) {
    auto const id = registry.insert("a");
    CHECK(seen.insert(id).second);
    CHECK(generation_of(id) == last + 1);
    last = generation_of(id);
    CHECK(registry.erase(id));
  }
}

TEST_CASE("a place is no longer used after its last generation") {
  names registry;
  auto const id = registry.insert("a");
  CHECK(registry.erase(id));
  // As if one generation were left.
  std::uint64_t const last = (std::uint64_t{1} << generation_bits) - 1;
  segments_of(store_of(registry))[0].load()->word.store((last - 1) << 32);
  auto const final_id = registry.insert("last");
  CHECK(index_of(final_id) == index_of(id));
  CHECK(generation_of(final_id) == last);
  CHECK(*registry.find(final_id) == "last");
  CHECK(registry.erase(final_id));
  CHECK(!registry.find(final_id));
  CHECK(index_of(registry.insert("next")) != index_of(id));
}

TEST_CASE("an erased object lives until its last pin is gone") {
  kino::registry<counted> registry;
  auto const id = registry.insert(7u);
  {
    auto pin = registry.find(id);
    auto second = registry.find(id);
    CHECK(registry.erase(id));
    CHECK(!registry.find(id));
    CHECK(counted::alive == 1);
    CHECK(pin->number == 7);
    auto const fresh = registry.insert(8u);
    CHECK(index_of(fresh) != index_of(id));
    CHECK(registry.erase(fresh));
    pin = {};
    CHECK(counted::alive == 1);
    CHECK(second->number == 7);
  }
  CHECK(counted::alive == 0);
  CHECK(index_of(registry.insert(9u)) <= 1);
}

TEST_CASE("a pin can be moved and assigned") {
  kino::registry<counted> registry;
  auto const id = registry.insert(7u);
  auto pin = registry.find(id);
  auto moved = std::move(pin);
  CHECK(!pin);  // NOLINT: checks the moved-from state
  CHECK(moved->number == 7);
  kino::registry<counted>::pin assigned;
  CHECK(!assigned);
  assigned = std::move(moved);
  CHECK((*assigned).number == 7);
  CHECK(registry.erase(id));
  CHECK(counted::alive == 1);
}

TEST_CASE("assigning to a pin releases its object") {
  kino::registry<counted> registry;
  auto const first = registry.insert(1u);
  auto const second = registry.insert(2u);
  auto pin = registry.find(first);
  auto other = registry.find(second);
  CHECK(registry.erase(first));
  CHECK(counted::alive == 2);
  pin = std::move(other);
  CHECK(counted::alive == 1);
  CHECK(pin->number == 2);
  CHECK(!other);  // NOLINT: checks the moved-from state
}

TEST_CASE("a registry destroys objects that were not erased") {
  CHECK(counted::alive == 0);
  {
    kino::registry<counted> registry;
    for (std::uint64_t i = 0; i < 300; ++i) static_cast<void>(registry.insert(i));
    CHECK(counted::alive == 300);
  }
  CHECK(counted::alive == 0);
}

TEST_CASE("many objects keep their ids while the registry grows") {
  kino::registry<std::uint64_t> registry;
  std::vector<std::uint64_t> ids;
  for (std::uint64_t i = 0; i < 5000; ++i) ids.push_back(registry.insert(i));
  for (std::uint64_t i = 0; i < ids.size(); ++i) REQUIRE(*registry.find(ids[i]) == i);
  CHECK(std::set(ids.begin(), ids.end()).size() == ids.size());
}

TEST_CASE("an object whose constructor throws takes no place") {
  kino::registry<unbuildable> registry;
  CHECK_THROWS_AS(static_cast<void>(registry.insert(true)), std::runtime_error);
  auto const id = registry.insert(false);
  CHECK(index_of(id) == 0);
  CHECK(registry.find(id));
}

TEST_CASE("inserting into a full registry throws") {
  names registry;
  auto const id = registry.insert("a");
  used_of(store_of(registry)) = std::size_t{1} << index_bits;
  CHECK_THROWS_AS(static_cast<void>(registry.insert("b")), std::length_error);
  CHECK(registry.erase(id));
  CHECK(registry.find(registry.insert("c")));
}

TEST_CASE("a child forked during an insert can use every member") {
  names registry;
  auto const id = registry.insert("amber");
  auto const other = registry.insert("jet");
  mutex_of(store_of(registry)).lock();  // as if by a thread that is not in the child
  CHECK(in_child([&] {
    auto const fresh = registry.insert("opal");  // takes a new place
    bool good = *registry.find(fresh) == "opal" && *registry.find(id) == "amber";
    good = good && registry.erase(id) && !registry.find(id) && !registry.erase(id);
    good = good && index_of(registry.insert("reused")) == index_of(id);
    int visited = 0;
    registry.for_each([&](std::uint64_t, std::string&) { ++visited; });
    return good && visited == 3;
  }));
  mutex_of(store_of(registry)).unlock();
  CHECK(*registry.find(id) == "amber");
  CHECK(registry.erase(other));
}

TEST_CASE("children forked while threads insert and erase can use the registry") {
  kino::registry<counted> registry;
  std::atomic<bool> over{false};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        std::vector<std::uint64_t> mine;
        while (!over) {
          for (int i = 0; i < 50; ++i) mine.push_back(registry.insert(1u));
          for (auto id : mine) registry.erase(id);
          mine.clear();
        }
      });
    }
    for (int child = 0; child < 50; ++child) {
      CHECK(in_child([&] {
        std::set<std::uint64_t> mine;
        for (int i = 0; i < 200; ++i) mine.insert(registry.insert(2u));
        bool good = mine.size() == 200;
        for (auto id : mine) good = good && registry.find(id)->number == 2;
        for (auto id : mine) good = good && registry.erase(id);
        return good;
      }));
    }
    over = true;
  }
}

TEST_CASE("for_each visits every registered object with its id") {
  kino::registry<std::uint64_t> registry;
  std::set<std::uint64_t> live;
  for (std::uint64_t i = 0; i < 300; ++i) {  // three segments
    auto const id = registry.insert(i);
    if (i % 3 == 0) {
      CHECK(registry.erase(id));
    } else {
      live.insert(id);
    }
  }
  std::set<std::uint64_t> visited;
  registry.for_each([&](std::uint64_t id, std::uint64_t& object) {
    CHECK(visited.insert(id).second);
    CHECK(&*registry.find(id) == &object);
  });
  CHECK(visited == live);
  kino::registry<counted> empty;
  empty.for_each([](std::uint64_t, counted&) { FAIL("nothing is registered"); });
}

TEST_CASE("the callback of for_each may erase and insert") {
  kino::registry<counted> registry;
  for (std::uint64_t i = 0; i < 3; ++i) static_cast<void>(registry.insert(i));
  std::vector<std::uint64_t> order;
  registry.for_each([&](std::uint64_t id, counted& each) {
    order.push_back(each.number);
    CHECK(registry.erase(id));
    CHECK(each.number == order.back());  // alive until the callback returns
    if (order.size() == 1) static_cast<void>(registry.insert(9u));
  });
  CHECK(order == std::vector<std::uint64_t>{0, 1, 2, 9});
  CHECK(counted::alive == 0);
}

TEST_CASE("an exception of the callback ends for_each and drops the pin") {
  kino::registry<counted> registry;
  auto const id = registry.insert(1u);
  CHECK_THROWS_AS(
      registry.for_each([](std::uint64_t, counted&) { throw std::runtime_error("no"); }),
      std::runtime_error);
  CHECK(registry.erase(id));
  CHECK(counted::alive == 0);
}

TEST_CASE("for_each visits each permanent object once while others are inserted and erased") {
  constexpr std::uint64_t stays = 50;
  constexpr int walks = 2'000;
  kino::registry<counted> registry;
  std::set<std::uint64_t> staying;
  std::atomic<bool> over{false};
  for (std::uint64_t i = 0; i < stays; ++i) staying.insert(registry.insert(i + 1));
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        std::vector<std::uint64_t> mine;
        while (!over) {
          for (int i = 0; i < 100; ++i) mine.push_back(registry.insert(1000u));
          for (auto id : mine) registry.erase(id);
          mine.clear();
        }
      });
    }
    for (int walk = 0; walk < walks; ++walk) {
      std::size_t seen = 0;
      bool whole = true;
      registry.for_each([&](std::uint64_t id, counted& each) {
        seen += staying.count(id);
        whole = whole && (each.number == 1000 || each.number <= stays);
      });
      CHECK(seen == stays);
      CHECK(whole);
    }
    over = true;
  }
  CHECK(counted::alive == stays);
}

TEST_CASE("threads that find, erase and insert see only complete objects") {
  constexpr int places = 4;
  constexpr int rounds = 20'000;
  kino::registry<counted> registry;
  std::atomic<std::uint64_t> ids[places] = {};
  std::atomic<int> torn{0};
  std::atomic<int> inserted{0};
  std::atomic<int> erased{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < rounds; ++i) {
          auto& shared = ids[(i + t) % places];
          auto const id = shared.load();
          if (auto pin = registry.find(id); pin && pin->number != 42) ++torn;
          if (i % 3 == t) {
            auto const fresh = registry.insert(42u);
            ++inserted;
            // Each id leaves the table once, but another thread may have erased its object before.
            auto gone = shared.exchange(fresh);
            if (registry.erase(gone)) ++erased;
          } else if (i % 7 == 0) {
            if (registry.erase(id)) ++erased;
          }
        }
      });
    }
  }
  CHECK(torn == 0);
  CHECK(counted::alive == inserted - erased);
  CHECK(counted::alive <= places);
}
