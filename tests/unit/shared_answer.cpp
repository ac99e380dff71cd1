// SPDX-License-Identifier: MIT

#include <kino/shared_answer.hpp>

#include "../support/await.hpp"
#include "../support/in_child.hpp"
#include "../support/waiting_threads.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace {

std::size_t waiting(kino::shared_answer<int> const& answer) { return waiting(answer.place().changed()); }

}  // namespace

TEST_CASE("all waiting threads get the one answer") {
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

TEST_CASE("a wait that ends by its deadline leaves no trace") {
  auto [answer, respond] = kino::make_shared_response<int>();
  CHECK(answer.wait_for(std::chrono::milliseconds(1)) == nullptr);
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
  std::optional<kino::condition::waiter> waits(std::in_place, answer.place().changed());
  kino::detail::lock changing(mutex_of(answer.place().changed()));
  CHECK(in_child([&, &asked = answer, &responds = respond] {
    waits.reset();
    return responds.answer(1) && asked.wait().value() == 1;
  }));
}

TEST_CASE("an answer races with threads that begin and stop waiting") {
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
