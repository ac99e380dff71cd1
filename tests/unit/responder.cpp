// SPDX-License-Identifier: MIT

#include <kino/responder.hpp>

#include "../support/await.hpp"
#include "../support/in_child.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kino::ending;

namespace {
thread_local std::size_t allocations = 0;
}

// Not inlined: g++ would see new without its delete and warn.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace {

// A completion that records its calls.
struct recording_completion final : kino::completion<int> {
  std::vector<ending> kinds;
  std::optional<int> value;
  std::thread::id thread;
  int releases = 0;
  bool released_too_soon = false;
  bool in_delivery = false;

  recording_completion() { kinds.reserve(8); }
  void delivered(kino::outcome<int>&& result) noexcept override {
    in_delivery = true;
    kinds.push_back(result.kind());
    if (result.answered()) value = result.value();
    thread = std::this_thread::get_id();
    in_delivery = false;
  }
  void released() noexcept override {
    released_too_soon = released_too_soon || in_delivery || kinds.empty();
    ++releases;
  }
};

}  // namespace

TEST_CASE("the first answer wins, and the others keep their values") {
  auto [answer, respond] = kino::make_response<std::unique_ptr<int>>();
  auto const copy = respond;
  auto first = std::make_unique<int>(1);
  auto second = std::make_unique<int>(2);
  CHECK(!answer.ready());
  CHECK(respond.answer(std::move(first)));
  CHECK(!copy.answer(std::move(second)));
  CHECK(!first);
  REQUIRE(second);
  CHECK(!copy.abandon());
  CHECK(!copy.expire());
  CHECK(copy.ended());
  CHECK(answer.ready());
  auto& outcome = answer.wait();
  REQUIRE(outcome.answered());
  CHECK(outcome.kind() == ending::answered);
  CHECK(*outcome.value() == 1);
}

TEST_CASE("an abandoned or expired request accepts no answer") {
  for (bool expire : {false, true}) {
    auto [answer, respond] = kino::make_response<int>();
    CHECK((expire ? respond.expire() : respond.abandon()));
    CHECK(!respond.answer(1));
    CHECK(!answer.wait().answered());
    CHECK(answer.wait().kind() == (expire ? ending::expired : ending::abandoned));
  }
}

TEST_CASE("dropping the last responder without an answer delivers abandoned") {
  auto [answer, respond] = kino::make_response<int>();
  auto copy = std::make_optional(respond);
  respond = {};
  CHECK(!answer.ready());
  copy.reset();
  CHECK(answer.ready());
  CHECK(answer.wait().kind() == ending::abandoned);
}

TEST_CASE("dropping the last responder after an answer changes nothing") {
  auto [answer, respond] = kino::make_response<int>();
  CHECK(respond.answer(5));
  respond = {};
  CHECK(answer.wait().value() == 5);
}

TEST_CASE("an empty responder belongs to no request") {
  kino::responder<int> empty;
  CHECK(!empty);
  CHECK(!empty.answer(1));
  CHECK(!empty.abandon());
  CHECK(!empty.expire());
  CHECK(empty.ended());
  CHECK(empty.place() == nullptr);
  CHECK(!empty.weak());
  auto copy = empty;
  CHECK(!copy);

  kino::weak_responder const weak;
  CHECK(!weak);
  CHECK(!weak.abandon());
  CHECK(!weak.expire());
  CHECK(weak.ended());
}

TEST_CASE("a moved responder can answer, and the moved-from one is empty") {
  auto [answer, respond] = kino::make_response<int>();
  auto moved = std::move(respond);
  CHECK(!respond);  // NOLINT: checks the moved-from state
  CHECK(moved);
  moved = std::move(moved);  // NOLINT: onto itself
  CHECK(!answer.ready());
  CHECK(moved.answer(1));
}

TEST_CASE("a weak responder does not keep a request open") {
  auto [answer, respond] = kino::make_response<int>();
  auto const weak = respond.weak();
  CHECK(weak);
  CHECK(!weak.ended());
  respond = {};
  CHECK(answer.wait().kind() == ending::abandoned);
  CHECK(weak.ended());
  CHECK(!weak.abandon());
}

TEST_CASE("a weak responder can end a request that has responders") {
  for (bool expire : {false, true}) {
    auto [answer, respond] = kino::make_response<int>();
    auto const weak = respond.weak();
    CHECK((expire ? weak.expire() : weak.abandon()));
    CHECK(!weak.expire());
    CHECK(!respond.answer(1));
    CHECK(answer.wait().kind() == (expire ? ending::expired : ending::abandoned));
  }
}

TEST_CASE("a weak responder can be released to a pointer and adopted again") {
  recording_completion place;
  {
    kino::responder<int> respond(place);
    auto weak = respond.weak();
    auto* const kept = weak.release();
    CHECK(!weak);
    respond = {};
    CHECK(place.releases == 0);
    auto const again = kino::weak_responder::adopt(kept);
    CHECK(again.ended());
  }
  CHECK(place.releases == 1);
}

TEST_CASE("assigning to a weak responder releases its completion") {
  recording_completion first;
  recording_completion second;
  kino::weak_responder weak = kino::responder<int>(first).weak();
  kino::weak_responder other = kino::responder<int>(second).weak();
  CHECK(first.releases == 0);
  weak = std::move(other);
  CHECK(first.releases == 1);
  CHECK(second.releases == 0);
  CHECK(!other);  // NOLINT: checks the moved-from state
  CHECK(weak);
}

TEST_CASE("assigning to a receiver releases its outcome") {
  auto const value = std::make_shared<int>(1);
  auto first = kino::make_response<std::shared_ptr<int>>();
  auto second = kino::make_response<std::shared_ptr<int>>();
  CHECK(first.respond.answer(std::shared_ptr<int>(value)));
  first.respond = {};
  CHECK(value.use_count() == 2);
  first.answer = std::move(second.answer);
  CHECK(value.use_count() == 1);
  CHECK(second.respond.answer(nullptr));
  CHECK(first.answer.ready());
}

TEST_CASE("a completion gets the outcome once, in the thread that decided it") {
  recording_completion place;
  kino::responder<int> respond(place);
  CHECK(respond.place() == &place);
  std::thread::id other;
  std::thread thread([&, copy = respond] {
    other = std::this_thread::get_id();
    CHECK(copy.answer(3));
  });
  thread.join();
  CHECK(!respond.answer(4));
  CHECK(place.kinds == std::vector{ending::answered});
  CHECK(place.value == 3);
  CHECK(place.thread == other);
}

TEST_CASE("a completion is released after its last responder, including weak ones, and can be reused") {
  recording_completion place;
  for (int round = 1; round <= 3; ++round) {
    kino::responder<int> respond(place);
    auto weak = respond.weak();
    if (round != 2) {
      CHECK(respond.answer(std::move(round)));
    }
    respond = {};
    CHECK(place.releases == round - 1);
    weak = {};
    CHECK(place.releases == round);
    place.rearm();
  }
  CHECK(place.kinds == std::vector{ending::answered, ending::abandoned, ending::answered});
  CHECK(!place.released_too_soon);
}

TEST_CASE("responding allocates nothing, and making a response allocates once") {
  recording_completion place;
  std::size_t before = allocations;
  {
    kino::responder<int> respond(place);
    auto const copy = respond;
    auto const weak = copy.weak();
    static_cast<void>(respond.answer(1));
  }
  CHECK(allocations == before);
  before = allocations;
  {
    auto [answer, respond] = kino::make_response<int>();
    static_cast<void>(respond.answer(1));
    static_cast<void>(answer.wait());
  }
  CHECK(allocations == before + 1);
}

TEST_CASE("a wait ends when the answer arrives") {
  for (int round = 0; round < 200; ++round) {
    auto [answer, respond] = kino::make_response<int>();
    int written = 0;  // not atomic: ThreadSanitizer checks the order
    std::thread worker([&written, respond = std::move(respond)] {
      written = 9;
      static_cast<void>(respond.answer(1));
    });
    CHECK(answer.wait().value() == 1);
    CHECK(written == 9);
    worker.join();
  }
}

TEST_CASE("a wait ends when the last responder is dropped") {
  auto [answer, respond] = kino::make_response<int>();
  std::thread worker([respond = std::move(respond)] {});
  CHECK(answer.wait().kind() == ending::abandoned);
  worker.join();
}

TEST_CASE("a later wait can succeed after one that timed out") {
  auto [answer, respond] = kino::make_response<int>();
  CHECK(answer.wait_for(1ms) == nullptr);
  CHECK(respond.answer(2));
  auto* const outcome = answer.wait_for(0ms);
  REQUIRE(outcome);
  CHECK(outcome->value() == 2);
}

TEST_CASE("an interruption neither ends a native wait nor makes it endless") {
  auto [answer, respond] = kino::make_response<int>();
  answer.arrival().interrupt();
  CHECK(answer.wait_for(1ms) == nullptr);
  answer.arrival().interrupt();
  CHECK(respond.answer(2));
  CHECK(answer.wait().value() == 2);
}

TEST_CASE("the timeout of a wait may be the longest duration") {
  auto [answer, respond] = kino::make_response<int>();
  std::thread worker([respond = std::move(respond)] { static_cast<void>(respond.answer(1)); });
  auto* const outcome = answer.wait_for(std::chrono::hours::max());
  REQUIRE(outcome);
  CHECK(outcome->value() == 1);
  worker.join();
}

TEST_CASE("dropping a receiver expires its request") {
  kino::responder<int> respond;
  {
    auto ends = kino::make_response<int>();
    respond = std::move(ends.respond);
    CHECK(ends.answer.wait_for(0ms) == nullptr);
    CHECK(!respond.ended());  // a later wait may still see an answer
    auto moved = std::move(ends.answer);
    CHECK(!respond.ended());
  }
  CHECK(respond.ended());
  CHECK(!respond.answer(1));

  auto first = kino::make_response<int>();
  auto second = kino::make_response<int>();
  first.answer = std::move(second.answer);
  CHECK(first.respond.ended());
  CHECK(second.respond.answer(2));
  CHECK(first.answer.wait().value() == 2);
}

TEST_CASE("if an answer races with the destruction of the receiver, one of them ends the request") {
  for (int i = 0; i < 2000; ++i) {
    auto ends = std::make_unique<kino::response_ends<std::unique_ptr<int>>>(
        kino::make_response<std::unique_ptr<int>>());
    auto respond = std::move(ends->respond);
    bool answered = false;
    std::jthread answering([&, mine = std::move(respond)] {
      auto value = std::make_unique<int>(i);
      answered = mine.answer(std::move(value));
      CHECK(answered == !value);
    });
    ends.reset();
  }
}

TEST_CASE("if many threads end a request, one succeeds") {
  constexpr int threads = 4;
  for (int round = 0; round < 300; ++round) {
    recording_completion place;
    std::atomic<int> wins{0};
    std::atomic<int> ready{0};
    {
      std::vector<std::jthread> racers;
      kino::responder<int> respond(place);
      for (int i = 0; i < threads; ++i) {
        racers.emplace_back([&, i, mine = respond, weak = respond.weak()]() mutable {
          ++ready;
          await([&] { return ready == threads; });
          bool won = false;
          if (i == 0) won = mine.answer(1);
          if (i == 1) won = mine.expire();
          if (i == 2) won = weak.abandon();
          wins += won;
          mine = {};
        });
      }
    }
    CHECK(wins <= 1);
    CHECK(place.kinds.size() == 1);
    CHECK(place.releases == 1);
    CHECK(!place.released_too_soon);
  }
}

TEST_CASE("waiting for the answer to a parent's request throws in a forked child") {
  auto [answer, respond] = kino::make_response<int>();
  auto const forked = [&](auto member) {
    return in_child([&] { return throws_made_before_fork("receiver", member); });
  };
  CHECK(forked([&] { static_cast<void>(answer.wait()); }));
  CHECK(forked([&] { static_cast<void>(answer.wait_for(1h)); }));
  CHECK(in_child([&] { return !answer.ready() && !respond.ended(); }));
  // The child's use of its copy of the responder does not affect the parent.
  CHECK(in_child([&] { return respond.answer(1) && answer.wait().value() == 1; }));
  CHECK(in_child([&] {
    respond = {};
    return answer.wait().kind() == ending::abandoned;
  }));
  CHECK(!respond.ended());
  CHECK(respond.answer(2));
  CHECK(in_child([&] { return answer.wait().value() == 2; }));  // it arrived before the fork
}

TEST_CASE("a forked child can answer although its parent's thread waits for the same outcome") {
  auto [answer, respond] = kino::make_response<int>();
  std::jthread waiting([&] { CHECK(answer.wait().value() == 3); });
  for (int i = 0; i < 20; ++i) CHECK(in_child([&] { return respond.answer(1); }));
  CHECK(respond.answer(3));
}
