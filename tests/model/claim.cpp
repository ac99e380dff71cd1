// SPDX-License-Identifier: MIT
//
// claim and its users: one delivery, and release after the last step of every thread.

#include "model.hpp"

#include <kino/responder.hpp>

using kino::ending;

namespace {

// Every thread writes its part before it drops its reference; `released` accesses all parts. relacy reports a race if a
// drop does not order the part before `released`.
struct watched_claim final : kino::detail::claim {
  rl::var<int> parts[3];
  int deliveries = 0;
  int releases = 0;

  watched_claim() {
    for (auto& part : parts) part(RL_INFO) = 0;
  }
  void step(unsigned index) { parts[index](RL_INFO) = 1; }
  void deliver() { ++deliveries; }

private:
  void conclude(ending) noexcept override { deliver(); }
  void released() noexcept override {
    RL_ASSERT(deliveries == 1);
    for (auto& part : parts) part(RL_INFO) = 2;
    ++releases;
  }
};

// An answer, a time-out and a drop, each with a strong reference.
struct strong_ones : rl::test_suite<strong_ones, 3> {
  watched_claim place;

  void before() {
    place.open();
    place.add_strong();
    place.add_strong();
  }
  void thread(unsigned index) {
    if (index == 0 && place.try_claim(ending::answered)) place.deliver();
    if (index == 1) place.end(ending::expired);
    place.step(index);
    place.drop_strong();
  }
  void after() {
    RL_ASSERT(place.deliveries == 1);
    RL_ASSERT(place.releases == 1);
  }
};

// A supervisor with a weak reference against the last two strong ones.
struct weak_one : rl::test_suite<weak_one, 3> {
  watched_claim place;

  void before() {
    place.open();
    place.add_strong();
    place.add_weak();
  }
  void thread(unsigned index) {
    if (index == 0) place.end(ending::abandoned);
    place.step(index);
    if (index == 0) {
      place.drop_weak();
    } else {
      place.drop_strong();
    }
  }
  void after() {
    RL_ASSERT(place.deliveries == 1);
    RL_ASSERT(place.releases == 1);
  }
};

// A thread that sees the end of a request also sees earlier writes.
struct seen_end : rl::test_suite<seen_end, 2> {
  watched_claim place;

  void before() { place.open(); }
  void thread(unsigned index) {
    if (index == 0) {
      place.step(0);
      place.end(ending::expired);
    } else if (place.ended()) {
      RL_ASSERT(static_cast<int>(place.parts[0](RL_INFO)) == 1);
    }
  }
};

// A completion that is reused: steps of the first request must not affect the second.
struct reused_place : rl::test_suite<reused_place, 2> {
  struct reusing final : kino::completion<int> {
    rl::var<int> content;
    kino::responder<int> second;
    int deliveries = 0;

    reusing() { content(RL_INFO) = 0; }
    void delivered(kino::outcome<int>&&) noexcept override { ++deliveries; }
    void released() noexcept override {
      content(RL_INFO) = 1;
      rearm();
      if (deliveries == 1) second = kino::responder<int>(*this);
    }
  };
  reusing place;
  kino::responder<int> respond;
  kino::weak_responder weak;

  void before() {
    respond = kino::responder<int>(place);
    weak = respond.weak();
  }
  void thread(unsigned index) {
    if (index == 0) {
      auto const last = std::move(respond);
      static_cast<void>(static_cast<int>(place.content(RL_INFO)));
      last.answer(1);
    } else {
      auto const last = std::move(weak);
      last.abandon();
    }
  }
  void after() {
    RL_ASSERT(place.deliveries == 1);
    RL_ASSERT(place.second);
    RL_ASSERT(!place.second.ended());
    place.second = {};
    RL_ASSERT(place.deliveries == 2);
  }
};

// Both ends of make_response: the receiver waits until the outcome has arrived, and the last user frees the memory.
struct asking : rl::test_suite<asking, 3> {
  std::optional<kino::response_ends<int>> ends;
  kino::weak_responder weak;
  rl::var<int> work;

  void before() {
    work(RL_INFO) = 0;
    ends.emplace(kino::make_response<int>());
    weak = ends->respond.weak();
  }
  void thread(unsigned index) {
    if (index == 0) {
      auto const respond = std::move(ends->respond);
      work(RL_INFO) = 1;
      respond.answer(7);
    } else if (index == 1) {
      auto answer = std::move(ends->answer);
      auto& outcome = answer.wait();
      if (outcome.answered()) {
        RL_ASSERT(outcome.value() == 7);
        RL_ASSERT(static_cast<int>(work(RL_INFO)) == 1);
      }
    } else {
      auto const last = std::move(weak);
      last.expire();
    }
  }
};

}  // namespace

int main() {
  return model::verdict(model::holds<strong_ones>("an answer, a time-out and a drop", 30'000) &&
                        model::holds<weak_one>("a supervisor and two drops", 30'000) &&
                        model::holds<seen_end>("an end that is seen", 20'000) &&
                        model::holds<reused_place>("a place that is reused", 30'000) &&
                        model::holds<asking>("asking and answering", 30'000));
}
