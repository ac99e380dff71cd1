// SPDX-License-Identifier: MIT

#include <kino/shared_cache.hpp>

#include "../support/await.hpp"
#include "../support/in_child.hpp"
#include "../support/private_access.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

using cache_of_int = kino::shared_cache<int>;
using table_of_int = kino::detail::flight_table<int>;
using participant_of_int = table_of_int::participant;
KINO_TEST_REACH(current_of, cache_of_int, current_)
KINO_TEST_REACH(line_of, table_of_int, line_)
KINO_TEST_REACH(mutex_of, table_of_int, mutex_)
KINO_TEST_REACH(next_of, participant_of_int, next_)
KINO_TEST_REACH(leaving_of, table_of_int, leaving_)
KINO_TEST_REACH(computing_of, table_of_int, computing_)

namespace {

std::size_t waiting(cache_of_int& cache) {
  auto& table = *current_of(cache).load();
  std::lock_guard guard(mutex_of(table));
  std::size_t count = 0;
  for (auto* each = line_of(table); each; each = next_of(*each)) ++count;
  return count;
}

// No computation is in progress, and no value is kept for former callers.
bool at_rest(cache_of_int& cache) {
  auto& table = *current_of(cache).load();
  return waiting(cache) == 0 && computing_of(table).empty() && leaving_of(table).empty();
}

template <class Call>
bool deadlock_is_avoided(Call call) {
  try {
    call();
  } catch (std::system_error const& error) {
    return error.code() == std::errc::resource_deadlock_would_occur;
  }
  return false;
}

int never() { throw std::logic_error("computed again"); }

}  // namespace

TEST_CASE("keys whose hashes collide evict only each other") {
  constexpr std::size_t capacity = 1024;  // and as many chains
  constexpr std::size_t longest = table_of_int::longest_chain;
  cache_of_int cache(capacity);
  auto const keep = [&](std::string const& key) {
    static_cast<void>(cache.fetch(key, [] { return 1; }));
  };
  keep("harmless");
  std::size_t const chain = (std::hash<std::string_view>{}("harmless") + 1) % capacity;
  std::vector<std::string> hostile;
  for (int i = 0; hostile.size() < 10 * longest; ++i) {
    std::string key = std::to_string(i);
    if (std::hash<std::string_view>{}(key) % capacity == chain) hostile.push_back(key);
  }
  for (std::size_t i = 0; i < hostile.size(); ++i) {
    keep(hostile[i]);
    CHECK(cache.find(hostile[i]));
    CHECK(cache.size() == 1 + std::min(i + 1, longest));
  }
  CHECK(cache.find("harmless"));
  CHECK(!cache.find(hostile[0]));
  for (std::size_t i = hostile.size() - longest; i < hostile.size(); ++i) CHECK(cache.find(hostile[i]));
  CHECK(at_rest(cache));
}

TEST_CASE("ordinary keys fill a cache to its capacity") {
  constexpr int capacity = 1 << 14;
  cache_of_int cache(capacity);
  for (int i = 0; i < capacity; ++i) {
    static_cast<void>(cache.fetch("key " + std::to_string(i), [] { return 1; }));
  }
  CHECK(cache.size() == capacity);
}

TEST_CASE("a value evicted by a collision is still returned to waiting callers") {
  constexpr std::size_t longest = table_of_int::longest_chain;
  cache_of_int cache(1024);
  std::vector<std::string> hostile;
  for (int i = 0; hostile.size() < 2 * longest + 1; ++i) {
    std::string key = std::to_string(i);
    if (std::hash<std::string_view>{}(key) % 1024 == 7) hostile.push_back(key);
  }
  int got = 0;
  std::jthread waiter;
  static_cast<void>(cache.fetch(hostile[0], [&] {
    waiter = std::jthread([&] { got = cache.fetch(hostile[0], [] { return 2; }); });
    await([&] { return waiting(cache) == 1; });
    // It cannot be evicted while it is being computed.
    for (std::size_t i = 1; i < hostile.size(); ++i) {
      static_cast<void>(cache.fetch(hostile[i], [] { return 3; }));
    }
    return 1;
  }));
  waiter.join();
  CHECK(got == 1);
  CHECK(at_rest(cache));
}

TEST_CASE("a value is computed once and kept") {
  cache_of_int cache(4);
  CHECK(!cache.find("a"));
  CHECK(cache.fetch("a", [] { return 1; }) == 1);
  CHECK(cache.fetch("a", never) == 1);
  CHECK(cache.find("a") == 1);
  CHECK(cache.fetch("b", [] { return 2; }) == 2);
  CHECK(cache.size() == 2);
  CHECK(cache.fetch(std::string_view("a\0", 2), [] { return 3; }) == 3);
  CHECK(cache.fetch("", [] { return 4; }) == 4);
  CHECK(cache.find("a") == 1);
  CHECK(at_rest(cache));
}

TEST_CASE("the least recently used value is evicted first") {
  cache_of_int cache(2);
  static_cast<void>(cache.fetch("a", [] { return 1; }));
  static_cast<void>(cache.fetch("b", [] { return 2; }));
  CHECK(cache.find("a") == 1);
  static_cast<void>(cache.fetch("c", [] { return 3; }));
  CHECK(cache.size() == 2);
  CHECK(!cache.find("b"));
  CHECK(cache.fetch("a", never) == 1);
  CHECK(cache.find("c") == 3);
}

TEST_CASE("callers wait for a value that is being computed") {
  cache_of_int cache(4);
  std::atomic<bool> go{false};
  std::atomic<int> computed{0};
  auto compute = [&] {
    await([&] { return go.load(); });
    return ++computed;
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] { CHECK(cache.fetch("a", compute) == 1); });
    }
    await([&] { return waiting(cache) == 3; });
    CHECK(!cache.find("a"));
    CHECK(cache.fetch("b", [] { return 2; }) == 2);  // another key does not wait
    go = true;
  }
  CHECK(computed == 1);
  CHECK(at_rest(cache));
}

TEST_CASE("if a computation throws, one of the waiting callers computes the value") {
  cache_of_int cache(4);
  std::atomic<bool> go{false};
  std::atomic<int> computed{0};
  std::atomic<int> failed{0};
  std::atomic<int> sum{0};
  auto compute = [&] {
    if (++computed > 1) return 7;
    await([&] { return go.load(); });
    throw std::runtime_error("first");
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        try {
          sum += cache.fetch("a", compute);
        } catch (std::runtime_error const&) {
          ++failed;
        }
      });
    }
    await([&] { return waiting(cache) == 3; });
    go = true;
  }
  CHECK(failed == 1);
  CHECK(computed == 2);
  CHECK(sum == 3 * 7);
  CHECK(at_rest(cache));
}

TEST_CASE("a computation may fetch other keys, but not its own") {
  cache_of_int cache(4);
  CHECK(cache.fetch("a", [&] { return cache.fetch("b", [] { return 2; }) + 1; }) == 3);
  CHECK(deadlock_is_avoided([&] {
    static_cast<void>(cache.fetch("c", [&] { return cache.fetch("c", never); }));
  }));
  CHECK(cache.fetch("c", [] { return 5; }) == 5);
  CHECK(cache.fetch("d", [&] {
    CHECK(deadlock_is_avoided([&] {
      static_cast<void>(cache.fetch("e", [&] { return cache.fetch("d", never); }));
    }));
    return 6;
  }) == 6);
  CHECK(at_rest(cache));
}

TEST_CASE("a cycle of computations in several threads is broken by an exception") {
  cache_of_int cache(8);
  constexpr int threads_in_it = 3;
  char const* const keys[] = {"a", "b", "c"};
  std::atomic<int> computing{0};
  std::atomic<int> avoided{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < threads_in_it; ++i) {
      threads.emplace_back([&, i] {
        auto compute = [&] {
          ++computing;
          await([&] { return computing == threads_in_it; });
          try {
            return cache.fetch(keys[(i + 1) % threads_in_it], never) + 1;
          } catch (std::system_error const&) {
            ++avoided;
            return 0;
          }
        };
        CHECK(cache.fetch(keys[i], compute) >= 0);
      });
    }
  }
  CHECK(avoided == 1);
  std::vector<int> values;
  for (auto const* key : keys) values.push_back(*cache.find(key));
  std::sort(values.begin(), values.end());
  CHECK(values == std::vector{0, 1, 2});
}

TEST_CASE("an erased value is computed again") {
  cache_of_int cache(4);
  CHECK(!cache.erase("a"));
  static_cast<void>(cache.fetch("a", [] { return 1; }));
  CHECK(cache.erase("a"));
  CHECK(!cache.erase("a"));
  CHECK(cache.size() == 0);
  CHECK(cache.fetch("a", [] { return 2; }) == 2);
}

TEST_CASE("the value of an erased computation is returned only to waiting callers") {
  cache_of_int cache(4);
  std::atomic<bool> go{false};
  auto compute = [&] {
    await([&] { return go.load(); });
    return 1;
  };
  {
    std::jthread first([&] { CHECK(cache.fetch("a", compute) == 1); });
    await([&] { return !computing_of(*current_of(cache).load()).empty(); });
    std::jthread second([&] { CHECK(cache.fetch("a", compute) == 1); });
    await([&] { return waiting(cache) == 1; });
    CHECK(cache.erase("a"));
    CHECK(cache.fetch("a", [] { return 2; }) == 2);
    go = true;
  }
  CHECK(cache.find("a") == 2);
  CHECK(at_rest(cache));
}

TEST_CASE("a waiting caller gets a value that was evicted before it woke") {
  cache_of_int cache(1);
  auto ends = kino::make_shared_response<bool>();
  table_of_int& table = *current_of(cache).load();
  table_of_int::entries first;
  first.emplace_back("a", 1u, ends.answer);
  table_of_int::entries second;
  second.emplace_back("a", 2u, ends.answer);
  participant_of_int computes(table, 1);
  int visited = 0;
  {
    CHECK(computes.take(first, "a") == kino::detail::fetching::computes);
    participant_of_int waits(table, 2);
    CHECK(waits.take(second, "a") == kino::detail::fetching::waits);
    computes.keep(1);
    static_cast<void>(cache.fetch("b", [] { return 2; }));
    CHECK(!cache.find("a"));
    CHECK(cache.size() == 1);
    cache.for_each_value([&](int each) { visited += each; });
    CHECK(visited == 3);  // a collector must not free it yet
    CHECK(waits.value() == 1);
  }
  visited = 0;
  cache.for_each_value([&](int each) { visited += each; });
  CHECK(visited == 2);
  CHECK(at_rest(cache));
}

TEST_CASE("a cache destroys its values") {
  auto value = std::make_shared<int const>(1);
  {
    kino::shared_cache<std::shared_ptr<int const>> cache(2);
    for (char const* key : {"a", "b", "c"}) {
      CHECK(cache.fetch(key, [&] { return value; }) == value);
    }
    CHECK(value.use_count() == 3);
    CHECK(cache.erase("c"));
    CHECK(value.use_count() == 2);
  }
  CHECK(value.use_count() == 1);
}

TEST_CASE("a capacity of 0 is refused") {
  CHECK_THROWS_AS(cache_of_int(0), std::invalid_argument);
}

TEST_CASE("a forked child starts with an empty cache, even if the parent was using it") {
  cache_of_int cache(2);
  static_cast<void>(cache.fetch("a", [] { return 1; }));
  auto const in_fork = [&] {
    return in_child([&] {
      int visited = 0;
      cache.for_each_value([&](int) { ++visited; });
      return visited == 0 && !cache.find("a") && cache.fetch("b", [] { return 2; }) == 2 &&
             cache.fetch("a", [] { return 3; }) == 3 && cache.size() == 2;
    });
  };
  CHECK(in_fork());
  CHECK(cache.fetch("b", [&] { return in_fork() ? 1 : 0; }) == 1);
  std::lock_guard changing(mutex_of(*current_of(cache).load()));
  CHECK(in_fork());
}

TEST_CASE("a computation that forks completes in both processes") {
  cache_of_int cache(2);
  pid_t child = -1;
  int const value = cache.fetch("a", [&] {
    child = fork();
    if (child == 0) alarm(60);
    return child == 0 ? 1 : 2;
  });
  if (child == 0) _exit(value == 1 && !cache.find("a") ? 0 : 1);
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(value == 2);
  CHECK(cache.find("a") == 2);
}

TEST_CASE("random steps agree with a model") {
  stress::dice dice(5);
  for (int round = 0; round < 300; ++round) {
    std::size_t const capacity = 1 + dice.below(5);
    cache_of_int cache(capacity);
    std::list<std::pair<std::string, int>> model;  // the most recently used first
    for (int step = 0; step < 200; ++step) {
      std::string const key(1 + dice.below(2), static_cast<char>('a' + dice.below(5)));
      auto const known = std::find_if(model.begin(), model.end(),
                                      [&](auto const& each) { return each.first == key; });
      bool const there = known != model.end();
      switch (dice.below(4)) {
        case 0: {
          auto const found = cache.find(key);
          REQUIRE(found.has_value() == there);
          if (!there) break;
          CHECK(*found == known->second);
          model.splice(model.begin(), model, known);
          break;
        }
        case 1:
          CHECK(cache.erase(key) == there);
          if (there) model.erase(known);
          break;
        default: {
          bool const fails = dice.once_in(4);
          auto compute = [&] { return fails ? throw std::runtime_error("no") : step; };
          if (!there && fails) {
            CHECK_THROWS_AS(static_cast<void>(cache.fetch(key, compute)), std::runtime_error);
            break;
          }
          int const value = cache.fetch(key, compute);
          if (there) {
            CHECK(value == known->second);
            model.splice(model.begin(), model, known);
          } else {
            CHECK(value == step);
            model.emplace_front(key, step);
            if (model.size() > capacity) model.pop_back();
          }
        }
      }
      CHECK(cache.size() == model.size());
    }
    CHECK(at_rest(cache));
  }
}
