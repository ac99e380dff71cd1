// SPDX-License-Identifier: MIT
//
// Threads fetch, find and erase a few keys with failing and nested computations: a value always belongs
// to its key, no key is computed twice concurrently, and no caller waits forever.

#include <kino/shared_cache.hpp>

#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace {

constexpr std::uint32_t keys = 12;

struct value {
  std::uint32_t key;
};
using cache = kino::shared_cache<std::shared_ptr<value const>>;

struct participant {
  cache& shared;
  std::array<std::atomic<int>, keys>& computing;
  std::atomic<int>& wrong;
  std::atomic<int>& avoided;
  bool erases;
  stress::dice dice;

  std::shared_ptr<value const> compute(std::uint32_t key, int depth) {
    // Without erase, no key is computed twice at the same time.
    if (++computing[key] > 1 && !erases) ++wrong;
    struct leaving {
      std::atomic<int>& count;
      ~leaving() { --count; }
    } const here{computing[key]};
    if (dice.once_in(8)) throw std::runtime_error("no luck");
    if (depth < 3 && dice.once_in(2)) fetch(dice.below(keys), depth + 1);
    return std::make_shared<value const>(value{key});
  }
  void fetch(std::uint32_t key, int depth) {
    try {
      auto const got =
          shared.fetch("key " + std::to_string(key), [&] { return compute(key, depth); });
      if (got->key != key) ++wrong;
    } catch (std::system_error const&) {
      ++avoided;
    } catch (std::runtime_error const&) {
    }
  }
};

void run(std::size_t capacity, bool erases) {
  cache shared(capacity);
  std::array<std::atomic<int>, keys> computing{};
  std::atomic<int> wrong{0};
  std::atomic<int> avoided{0};
  std::atomic<std::uint64_t> done{0};
  stress::watchdog const watching([&] { return done.load(); },
                                  [&] { return std::to_string(done) + " done"; });
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        participant me{shared, computing, wrong, avoided, erases, stress::dice(t + 1)};
        for (std::uint32_t i = 0; i < stress::scaled(50'000); ++i, ++done) {
          std::uint32_t const key = me.dice.below(keys);
          if (erases && me.dice.once_in(5)) {
            shared.erase("key " + std::to_string(key));
          } else if (me.dice.once_in(5)) {
            auto const found = shared.find("key " + std::to_string(key));
            if (found && (*found)->key != key) ++wrong;
          } else {
            me.fetch(key, 0);
          }
        }
      });
    }
  }
  CHECK(wrong == 0);
  CHECK(avoided > 0);  // nested computations of few keys need their own
  CHECK(shared.size() <= capacity);
}

}  // namespace

TEST_CASE("with a capacity of one, every value belongs to its key") { run(1, false); }
TEST_CASE("with a small capacity, every value belongs to its key") { run(5, false); }
TEST_CASE("while callers erase, every value belongs to its key") { run(5, true); }
