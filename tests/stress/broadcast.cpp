// SPDX-License-Identifier: MIT
//
// Publishers, permanent subscribers, and subscribers that come and go: each publisher's messages arrive
// in order, and a permanent subscriber has popped or missed every one of them.

#include <kino/broadcast.hpp>

#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

using kino::pop_result;
using stress::item;

namespace {

constexpr std::uint32_t publishers = 2;
constexpr std::uint32_t permanent = 2;

// Pops until the broadcast is closed; returns the number of messages, and counts those out of order.
std::uint64_t follow(kino::subscriber<item>& mine, std::atomic<int>& disorder) {
  std::vector<std::uint32_t> next(publishers, 0);
  std::uint64_t popped = 0;
  for (item each; mine.pop(each) == pop_result::popped; ++popped) {
    if (each.number < next[each.producer]) ++disorder;
    next[each.producer] = each.number + 1;
  }
  return popped;
}

void run(std::size_t capacity, std::uint32_t each) {
  kino::broadcast<item> messages(capacity);
  std::atomic<std::uint64_t> published{0};
  std::atomic<int> disorder{0};
  std::atomic<int> lost{0};
  std::atomic<std::uint32_t> done{0};
  stress::watchdog const watching([&] { return published.load(); },
                                  [&] { return std::to_string(published) + " published"; });
  std::vector<kino::subscriber<item>> stay;
  for (std::uint32_t i = 0; i < permanent; ++i) stay.push_back(messages.subscribe());
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t i = 0; i < permanent; ++i) {
      threads.emplace_back([&, i] {
        std::uint64_t const popped = follow(stay[i], disorder);
        if (popped + stay[i].lagged() != std::uint64_t{publishers} * each) ++lost;
      });
    }
    threads.emplace_back([&] {
      stress::dice dice(1);
      while (done < publishers) {
        auto passing = messages.subscribe();
        item popped;
        for (std::uint32_t i = dice.below(8); i > 0; --i) {
          static_cast<void>(passing.try_pop(popped));
        }
      }
    });
    for (std::uint32_t p = 0; p < publishers; ++p) {
      threads.emplace_back([&, p] {
        for (std::uint32_t number = 0; number < each; ++number) {
          if (messages.publish({p, number}) < permanent) ++lost;
          ++published;
        }
        if (++done == publishers) messages.close();
      });
    }
  }
  CHECK(disorder == 0);
  CHECK(lost == 0);
  CHECK(messages.subscriber_count() == permanent);
}

}  // namespace

TEST_CASE("with a capacity of one, no message is lost uncounted") { run(1, stress::scaled(100'000)); }
TEST_CASE("with a small capacity, no message is lost uncounted") { run(16, stress::scaled(200'000)); }

TEST_CASE("a subscriber that races with close finds the broadcast closed") {
  for (std::uint32_t round = 0; round < stress::scaled(3'000); ++round) {
    kino::broadcast<int> numbers(1);
    std::jthread const closer([&] { numbers.close(); });
    auto mine = numbers.subscribe();
    int number = 0;
    CHECK(mine.pop(number) == pop_result::closed);
  }
}
