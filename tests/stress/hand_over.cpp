// SPDX-License-Identifier: MIT
//
// Detects lost wake-ups: with one value in flight, the first lost wake-up stops all progress, and the watchdog reports it.

#include <kino/channel.hpp>
#include <kino/responder.hpp>
#include <kino/run_permits.hpp>

#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <thread>
#include <vector>

using kino::pop_result;
using kino::push_result;

TEST_CASE("a value passes through a ring of threads") {
  for (std::uint32_t size : {2u, 5u}) {
    std::uint32_t const hops = stress::scaled(700'000);
    std::deque<kino::channel<std::uint32_t>> ring;
    for (std::uint32_t i = 0; i < size; ++i) ring.emplace_back(1);
    std::atomic<std::uint32_t> at{0};
    stress::watchdog watchdog([&] { return at.load(); }, [&] {
      return "hop " + std::to_string(at) + " in a ring of " + std::to_string(size);
    });
    {
      std::vector<std::jthread> all;
      for (std::uint32_t i = 0; i < size; ++i) {
        all.emplace_back([&, i] {
          auto& next = ring[(i + 1) % size];
          std::uint32_t hop = 0;
          while (ring[i].pop(hop) == pop_result::popped) {
            at.store(hop, std::memory_order_relaxed);
            if (hop == hops || next.push(hop + 1) != push_result::pushed) break;
          }
          next.close();
        });
      }
      CHECK(ring[0].push(0) == push_result::pushed);
    }
    CHECK(at == hops);
  }
}

TEST_CASE("one of many sleeping consumers takes each single request") {
  struct request {
    std::uint32_t number = 0;
    kino::responder<std::uint32_t> reply;
  };
  std::uint32_t const requests = stress::scaled(300'000);
  kino::channel<request> channel{1};
  std::atomic<std::uint32_t> asked{0};
  std::uint32_t wrong = 0;
  stress::watchdog watchdog([&] { return asked.load(); }, [&] { return "request " + std::to_string(asked); });
  {
    std::vector<std::jthread> consumers;
    for (int t = 0; t < 8; ++t) {
      consumers.emplace_back([&] {
        request next;
        while (channel.pop(next) == pop_result::popped) {
          next.reply.answer(next.number + 1);
          next = {};
        }
      });
    }
    for (; asked < requests; ++asked) {
      auto [answer, respond] = kino::make_response<std::uint32_t>();
      CHECK(channel.push({asked, std::move(respond)}) == push_result::pushed);
      auto& outcome = answer.wait();
      if (!outcome.answered() || outcome.value() != asked + 1) ++wrong;
    }
    channel.close();
  }
  CHECK(wrong == 0);
}

TEST_CASE("two threads pass one permit to each other") {
  // There is always work, for the two in turn; the other one releases the permit.
  std::uint32_t const turns = stress::scaled(400'000);
  std::atomic<std::uint32_t> turn{0};
  kino::run_permits permits({.workers = 2, .concurrency = 1, .slice = std::chrono::hours(1)},
                            [&] { return turn < turns; });
  stress::watchdog watchdog([&] { return turn.load(); }, [&] {
    return "turn " + std::to_string(turn) + ", running " + std::to_string(permits.running()) +
           ", parked " + std::to_string(permits.parked());
  });
  {
    std::vector<std::jthread> workers;
    for (std::uint32_t w = 0; w < 2; ++w) {
      workers.emplace_back([&, w] {
        auto& mine = permits[w];
        std::uint32_t attempts = 0;
        while (turn < turns) {
          if (!permits.acquire(mine)) {
            static_cast<void>(permits.wait(mine));
            continue;
          }
          if (turn % 2 != w) {
            permits.release(mine);
            // Without a CPU for each thread, the other one would wait for the end of this one's time slice.
            if (++attempts % 1000 == 0) std::this_thread::yield();
            continue;
          }
          permits.begin(mine);
          turn.fetch_add(1);
          permits.end(mine);
        }
        permits.release(mine);
        permits.stop();
      });
    }
  }
  CHECK(turn == turns);
  CHECK(permits.running() == 0);
  CHECK(permits.parked() == 0);
}
