// SPDX-License-Identifier: MIT

#include <kino/detail/concurrent_queue.hpp>

#include <doctest/doctest.h>

#include <latch>
#include <thread>
#include <vector>

using kino::detail::concurrent_queue;

TEST_CASE("no producer's value waits for ever while another producer always has more") {
  constexpr int rare = 8;
  constexpr int frequent = -1;
  for (int const length : {1, 3, 100}) {  // of the stream that is never empty
    concurrent_queue<int> queue;
    std::latch all_wait{rare};
    std::latch done{1};
    std::vector<std::thread> producers;  // they stay: the queue gives the stream of a thread that has ended to another
    for (int number = 0; number < rare; ++number) {
      producers.emplace_back([&, number] {
        queue.enqueue(int{number});
        all_wait.count_down();
        done.wait();
      });
    }
    all_wait.wait();
    for (int i = 0; i < length; ++i) queue.enqueue(int{frequent});

    int found = 0;
    int dequeued = 0;
    while (found < rare && dequeued < 10'000) {
      int value = 0;
      REQUIRE(queue.try_dequeue(value));
      ++dequeued;
      if (value == frequent) {
        queue.enqueue(int{frequent});
      } else {
        ++found;
      }
    }
    done.count_down();
    for (auto& each : producers) each.join();
    CHECK(found == rare);
  }
}

TEST_CASE("the values of one producer stay in order") {
  concurrent_queue<int> queue;
  for (int i = 0; i < 1'000; ++i) queue.enqueue(int{i});
  for (int i = 0; i < 1'000; ++i) {
    int value = -1;
    REQUIRE(queue.try_dequeue(value));
    CHECK(value == i);
  }
  int value = 0;
  CHECK(!queue.try_dequeue(value));
}
