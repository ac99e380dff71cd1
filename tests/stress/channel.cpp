// SPDX-License-Identifier: MIT
//
// Millions of values pass through one channel by every kind of push and pop, with interruptions, timeouts and close: none
// is lost, none arrives twice, and each producer's values arrive in order.

#include <kino/channel.hpp>

#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using kino::pop_result;
using kino::push_result;
using stress::item;

namespace {

constexpr std::uint32_t threads = 3;  // on each side

// The state of a producer or consumer that can be interrupted, as Thread#kill does.
struct participant {
  kino::detail::waiter self;
  std::uint64_t interruptions = 0;
};

push_result push_any_way(kino::channel<item>& to, item& value, participant& me, stress::dice& dice) {
  switch (dice.below(4)) {
    case 0: return to.push(std::move(value));
    case 1: return to.push_for(std::move(value), std::chrono::microseconds(dice.below(50)));
    case 2: return to.try_push(std::move(value));
    default: return to.push_until(std::move(value), std::nullopt, me.self);
  }
}

pop_result pop_any_way(kino::channel<item>& from, item& value, participant& me, stress::dice& dice) {
  switch (dice.below(4)) {
    case 0: return from.pop(value);
    case 1: return from.pop_for(value, std::chrono::microseconds(dice.below(50)));
    case 2: return from.try_pop(value);
    default: return from.pop_until(value, std::nullopt, me.self);
  }
}

template <class Result>
bool was_interrupted(Result result, participant& me) {
  if (result != Result::interrupted) return false;
  me.self.spot.clear_interruption();
  ++me.interruptions;
  return true;
}

void check_all_arrive(std::size_t capacity, std::uint32_t each) {
  kino::channel<item> channel{capacity};
  stress::arrivals arrived(threads, each);
  std::atomic<std::uint32_t> producing{threads};
  std::atomic<std::uint32_t> out_of_order{0};
  std::atomic<std::uint64_t> pushed{0};
  std::array<participant, threads> producers;
  std::array<participant, threads> consumers;
  std::atomic<bool> done{false};
  stress::watchdog watchdog([&] { return pushed + arrived.total(); }, [&] {
    return "pushed " + std::to_string(pushed) + ", popped " + std::to_string(arrived.total()) +
           ", in the channel " + std::to_string(channel.size()) + ", closed " +
           std::to_string(channel.closed()) + ", woken " + std::to_string(channel.wake_count());
  });

  std::jthread killer([&] {
    stress::dice dice(99);
    while (!done) {
      (dice.once_in(2) ? producers : consumers)[dice.below(threads)].self.spot.interrupt();
      std::this_thread::yield();
    }
  });
  {
    std::vector<std::jthread> all;
    for (std::uint32_t t = 0; t < threads; ++t) {
      all.emplace_back([&, t] {
        stress::dice dice(t + 1);
        for (std::uint32_t i = 0; i < each;) {
          item value{t, i};
          push_result const result = push_any_way(channel, value, producers[t], dice);
          if (result == push_result::pushed) {
            ++i;
            pushed.fetch_add(1, std::memory_order_relaxed);
          } else if (!was_interrupted(result, producers[t]) && result == push_result::full) {
            std::this_thread::yield();
          }
        }
        if (--producing == 0) channel.close();
      });
      all.emplace_back([&, t] {
        stress::dice dice(t + 100);
        std::array<std::int64_t, threads> last;
        last.fill(-1);
        auto const note = [&](item const& value) {
          if (last[value.producer] >= value.number) ++out_of_order;
          last[value.producer] = value.number;
          arrived.note(value);
        };
        for (;;) {
          if (dice.once_in(16)) {
            std::array<item, 8> several;
            auto const count = channel.try_pop_bulk(several.begin(), several.size());
            for (std::size_t i = 0; i < count; ++i) note(several[i]);
          }
          item value;
          pop_result const result = pop_any_way(channel, value, consumers[t], dice);
          if (result == pop_result::closed) break;
          if (result == pop_result::popped) note(value);
          if (!was_interrupted(result, consumers[t]) && result == pop_result::empty) {
            std::this_thread::yield();
          }
        }
      });
    }
  }
  done = true;
  killer.join();
  CHECK(pushed == std::uint64_t{threads} * each);
  CHECK(arrived.total() == std::uint64_t{threads} * each);
  CHECK(arrived.wrong() == 0);
  CHECK(out_of_order == 0);
  CHECK(channel.drained());
  std::uint64_t interruptions = 0;
  for (auto const& one : producers) interruptions += one.interruptions;
  for (auto const& one : consumers) interruptions += one.interruptions;
  CHECK(interruptions > 0);
}

}  // namespace

TEST_CASE("a channel with a capacity of one loses nothing") { check_all_arrive(1, stress::scaled(200'000)); }

TEST_CASE("a small channel loses nothing") { check_all_arrive(5, stress::scaled(500'000)); }

TEST_CASE("a large channel loses nothing") {
  check_all_arrive(1000, stress::scaled(1'000'000));
}

TEST_CASE("every value pushed before close is popped, and no thread keeps waiting") {
  std::uint32_t const rounds = stress::scaled(4000);
  std::atomic<std::uint32_t> round{0};
  std::atomic<std::uint64_t> pushed{0};
  std::atomic<std::uint64_t> popped{0};
  stress::watchdog watchdog([&] { return round.load(); }, [&] {
    return "round " + std::to_string(round) + ", pushed " + std::to_string(pushed) +
           ", popped " + std::to_string(popped);
  });
  for (; round < rounds; ++round) {
    kino::channel<int> channel{1 + round % 3};
    pushed = popped = 0;
    std::vector<std::jthread> all;
    for (std::uint32_t t = 0; t < 2; ++t) {
      all.emplace_back([&] {
        while (channel.push(1) == push_result::pushed) ++pushed;
      });
      all.emplace_back([&] {
        int value = 0;
        while (channel.pop(value) == pop_result::popped) ++popped;
      });
    }
    while (popped < round % 20) std::this_thread::yield();
    channel.close();
    all.clear();
    REQUIRE(pushed == popped);
    REQUIRE(channel.drained());
  }
}
