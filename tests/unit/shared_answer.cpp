// SPDX-License-Identifier: MIT

#include <kino/shared_answer.hpp>

#include "../support/await.hpp"
#include "../support/in_child.hpp"
#include "../support/private_access.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

using box_of_int = kino::detail::shared_oneshot<int>;
using visit_of_int = box_of_int::visit;
KINO_TEST_REACH(first_of, box_of_int, first_)
KINO_TEST_REACH(next_of, visit_of_int, next_)
KINO_TEST_REACH(mutex_of, box_of_int, mutex_)

namespace {

std::size_t waiting(kino::shared_answer<int> const& answer) {
  kino::detail::lock guard(mutex_of(answer.place()));
  std::size_t count = 0;
  for (auto* each = first_of(answer.place()); each; each = next_of(*each)) ++count;
  return count;
}

}  // namespace

TEST_CASE("all who wait get the one answer") {
  auto [answer, respond] = kino::make_shared_response<int>();
  std::atomic<int> sum{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&sum, mine = answer] { sum += mine.wait().value(); });
  }
  await([&, &asked = answer] { return waiting(asked) == 4; });
  CHECK(respond.answer(42));
  for (auto& thread : threads) thread.join();
  CHECK(sum == 4 * 42);
  CHECK(waiting(answer) == 0);
  CHECK(answer.wait().value() == 42);
}

TEST_CASE("a responder that is dropped ends every wait") {
  auto [answer, respond] = kino::make_shared_response<int>();
  std::thread waiter([mine = answer] { CHECK(mine.wait().kind() == kino::ending::abandoned); });
  { auto const dropped = std::move(respond); }
  waiter.join();
  CHECK(!answer.wait().answered());
}

TEST_CASE("a wait that ends by its deadline leaves the others in the line") {
  auto [answer, respond] = kino::make_shared_response<int>();
  std::optional<visit_of_int> first(std::in_place, answer.place());
  std::optional<visit_of_int> second(std::in_place, answer.place());
  std::optional<visit_of_int> third(std::in_place, answer.place());
  CHECK(answer.wait_for(std::chrono::milliseconds(1)) == nullptr);
  CHECK(waiting(answer) == 3);
  second.reset();
  CHECK(waiting(answer) == 2);
  first.reset();
  CHECK(waiting(answer) == 1);
  respond.answer(1);
  CHECK(third->spot().park(std::nullopt) == kino::park_result::notified);
  third.reset();
  CHECK(waiting(answer) == 0);
}

TEST_CASE("the value lives as long as the last handle") {
  auto const value = std::make_shared<int>(1);
  {
    auto ends = kino::make_shared_response<std::shared_ptr<int>>();
    auto kept = ends.answer;
    ends.respond.answer(std::shared_ptr<int>(value));
    ends.respond = {};
    auto& outcome = ends.answer.wait();
    ends.answer = kept;
    CHECK(*outcome.value() == 1);
    CHECK(value.use_count() == 2);
  }
  CHECK(value.use_count() == 1);
}

TEST_CASE("a forked child answers and drops what another thread was changing") {
  auto [answer, respond] = kino::make_shared_response<int>();
  std::optional<visit_of_int> waits(std::in_place, answer.place());
  kino::detail::lock changing(mutex_of(answer.place()));
  CHECK(in_child([&, &asked = answer, &responds = respond] {
    waits.reset();
    return responds.answer(1) && asked.wait().value() == 1;
  }));
}

TEST_CASE("an answer races with those who come and go") {
  for (int round = 0; round < 2000; ++round) {
    auto [answer, respond] = kino::make_shared_response<int>();
    std::thread waiter([mine = answer] { CHECK(mine.wait().value() == 1); });
    std::thread passer([mine = answer] {
      static_cast<void>(mine.wait_for(std::chrono::nanoseconds(1)));
    });
    respond.answer(1);
    waiter.join();
    passer.join();
  }
}
