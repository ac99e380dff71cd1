// SPDX-License-Identifier: MIT

#include <kino/broadcast.hpp>

#include "../support/in_child.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

using kino::pop_result;

namespace {

std::vector<int> drain(kino::subscriber<int>& from) {
  std::vector<int> all;
  for (int each = 0; from.try_pop(each) == pop_result::popped;) all.push_back(each);
  return all;
}

// Counts copies; copying a negative one throws.
struct costly {
  static inline std::atomic<int> copies{0};
  int number = 0;
  costly() = default;
  explicit costly(int n) : number(n) {}
  costly(costly const& other) : number(other.number) {
    if (number < 0) throw std::runtime_error("no copy");
    ++copies;
  }
  costly(costly&&) noexcept = default;
  costly& operator=(costly&&) noexcept = default;
};

}  // namespace

TEST_CASE("a subscriber gets every message published during its subscription") {
  kino::broadcast<int> numbers(8);
  CHECK(numbers.publish(1) == 0);
  auto first = numbers.subscribe();
  CHECK(numbers.publish(2) == 1);
  {
    auto second = numbers.subscribe();
    CHECK(numbers.subscriber_count() == 2);
    CHECK(numbers.publish(3) == 2);
    CHECK(drain(second) == std::vector{3});
  }
  CHECK(numbers.subscriber_count() == 1);
  CHECK(numbers.publish(4) == 1);
  CHECK(drain(first) == std::vector{2, 3, 4});
  CHECK(first.lagged() == 0);
}

TEST_CASE("only a slow subscriber misses messages, the oldest ones, and their number is counted") {
  kino::broadcast<int> numbers(2);
  auto slow = numbers.subscribe();
  auto fast = numbers.subscribe();
  for (int i = 0; i < 5; ++i) {
    CHECK(numbers.publish(i) == 2);
    CHECK(drain(fast) == std::vector{i});
  }
  CHECK(slow.lagged() == 3);
  CHECK(slow.lagged() == 0);
  CHECK(drain(slow) == std::vector{3, 4});
  CHECK(fast.lagged() == 0);
}

TEST_CASE("subscribers can pop queued messages after close") {
  kino::broadcast<int> numbers(2);
  auto early = numbers.subscribe();
  CHECK(numbers.publish(1) == 1);
  CHECK(!numbers.closed());
  numbers.close();
  numbers.close();
  CHECK(numbers.closed());
  CHECK(numbers.publish(2) == 0);
  auto late = numbers.subscribe();
  int number = 0;
  CHECK(late.pop(number) == pop_result::closed);
  CHECK(early.pop(number) == pop_result::popped);
  CHECK(number == 1);
  CHECK(early.pop(number) == pop_result::closed);
}

TEST_CASE("a subscriber can outlive its broadcast") {
  auto message = std::make_shared<int const>(1);
  {
    auto numbers = std::make_unique<kino::broadcast<std::shared_ptr<int const>>>(2u);
    auto left = numbers->subscribe();
    CHECK(numbers->publish(message) == 1);
    numbers.reset();
    std::shared_ptr<int const> popped;
    CHECK(left.pop(popped) == pop_result::popped);
    CHECK(popped == message);
    CHECK(left.pop(popped) == pop_result::closed);
  }
  CHECK(message.use_count() == 1);
}

TEST_CASE("a subscriber can be moved and assigned") {
  kino::broadcast<int> numbers(2);
  auto one = numbers.subscribe();
  auto other = numbers.subscribe();
  CHECK(numbers.publish(1) == 2);
  auto moved = std::move(one);
  other = std::move(moved);
  CHECK(numbers.subscriber_count() == 1);
  CHECK(numbers.publish(2) == 1);
  CHECK(drain(other) == std::vector{1, 2});
}

TEST_CASE("a message is copied once for each subscriber, even if its queue is full") {
  kino::broadcast<costly> messages(1);
  auto one = messages.subscribe();
  auto other = messages.subscribe();
  costly const message(1);
  costly::copies = 0;
  for (int i = 1; i <= 3; ++i) {
    CHECK(messages.publish(message) == 2);
    CHECK(costly::copies == 2 * i);
  }
  costly popped;
  CHECK(one.try_pop(popped) == pop_result::popped);
  CHECK(costly::copies == 6);
  CHECK(one.lagged() == 2);
}

TEST_CASE("a broadcast remains usable after the copy of a message has thrown") {
  kino::broadcast<costly> messages(1);
  auto one = messages.subscribe();
  CHECK_THROWS_AS(messages.publish(costly(-1)), std::runtime_error);
  CHECK(messages.publish(costly(7)) == 1);
  costly popped;
  CHECK(one.try_pop(popped) == pop_result::popped);
  CHECK(popped.number == 7);
  CHECK(one.lagged() == 0);
}

TEST_CASE("a capacity out of range is refused") {
  CHECK_THROWS_AS(kino::broadcast<int>(0), std::invalid_argument);
  CHECK_THROWS_AS(kino::broadcast<int>(std::size_t{1} << 31), std::invalid_argument);
}

TEST_CASE("a pop waits for a message, its deadline or close") {
  kino::broadcast<int> numbers(2);
  auto mine = numbers.subscribe();
  int number = 0;
  CHECK(mine.pop_for(number, std::chrono::nanoseconds(1)) == pop_result::timed_out);
  std::thread publisher([&] {
    static_cast<void>(numbers.publish(1));
    numbers.close();
  });
  CHECK(mine.pop(number) == pop_result::popped);
  CHECK(mine.pop(number) == pop_result::closed);
  publisher.join();
}

TEST_CASE("a forked child cannot use an inherited broadcast, but can destroy it") {
  auto numbers = std::make_unique<kino::broadcast<int>>(2u);
  auto mine = std::make_unique<kino::subscriber<int>>(numbers->subscribe());
  CHECK(in_child([&] {
    int number = 0;
    bool const told =
        throws_made_before_fork("broadcast", [&] { static_cast<void>(numbers->publish(1)); }) &&
        throws_made_before_fork("broadcast", [&] { static_cast<void>(numbers->subscribe()); }) &&
        throws_made_before_fork("channel", [&] { static_cast<void>(mine->try_pop(number)); });
    numbers->close();
    mine.reset();
    numbers.reset();
    return told;
  }));
}

TEST_CASE("random steps agree with a model") {
  stress::dice dice(12);
  for (int round = 0; round < 200; ++round) {
    struct expected {
      std::deque<int> queue;
      std::uint64_t missed = 0;
    };
    std::size_t const capacity = 1 + dice.below(4);
    kino::broadcast<int> numbers(capacity);
    std::vector<std::pair<kino::subscriber<int>, expected>> all;
    for (int step = 0; step < 200; ++step) {
      std::uint32_t const many = static_cast<std::uint32_t>(all.size());
      switch (dice.below(8)) {
        case 0:
          if (many < 5) all.emplace_back(numbers.subscribe(), expected{});
          break;
        case 1:
          if (many > 0) all.erase(all.begin() + dice.below(many));
          break;
        case 2:
        case 3:
        case 4:
          CHECK(numbers.publish(step) == many);
          for (auto& [mine, model] : all) {
            model.queue.push_back(step);
            if (model.queue.size() <= capacity) continue;
            model.queue.pop_front();
            ++model.missed;
          }
          break;
        case 5:
          if (many > 0) {
            auto& [mine, model] = all[dice.below(many)];
            CHECK(mine.lagged() == std::exchange(model.missed, 0));
          }
          break;
        default:
          if (many > 0) {
            auto& [mine, model] = all[dice.below(many)];
            int number = -1;
            pop_result const result = mine.try_pop(number);
            REQUIRE((result == pop_result::popped) == !model.queue.empty());
            if (result != pop_result::popped) break;
            CHECK(number == model.queue.front());
            model.queue.pop_front();
          }
      }
    }
    CHECK(numbers.subscriber_count() == all.size());
  }
}
