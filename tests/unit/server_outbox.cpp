// SPDX-License-Identifier: MIT

#include "websocket/outbox.hpp"

#include <kino/native_thread.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <stop_token>
#include <string>
#include <vector>

namespace server = kino::server;
using server::outbox;

TEST_CASE("messages leave in order, and what was there before the end still does") {
  outbox box;
  box.add("early", "x", true);  // it is closed
  auto const queue = box.open();
  CHECK(!queue->ready());
  box.add("a", "1", true);
  box.add("b", "2", false);
  box.close();
  box.add("late", "x", true);
  CHECK(queue->ready());
  auto const first = queue->take();
  REQUIRE(first);
  CHECK(first->channel == "a");
  CHECK(first->data == "1");
  CHECK(first->text);
  CHECK(queue->take()->channel == "b");
  CHECK(queue->ready());
  CHECK(!queue->take());
  CHECK(box.dropped() == 0);
  auto const again = box.open();
  CHECK(!again->ready());
  box.add("c", "3", true);
  CHECK(again->take()->channel == "c");
  CHECK(!queue->take());
}

TEST_CASE("what there is no room for is dropped and counted, by number and by bytes") {
  outbox box;
  auto const queue = box.open();
  for (std::size_t i = 0; i != outbox::most_messages + 3; ++i) box.add("", std::to_string(i), true);
  CHECK(box.dropped() == 3);
  for (std::size_t i = 0; i != outbox::most_messages; ++i) CHECK(queue->take()->data == std::to_string(i));
  box.add("", std::string(outbox::most_bytes, 'x'), true);
  box.add("", "y", true);
  CHECK(box.dropped() == 4);
  CHECK(queue->take()->data.size() == outbox::most_bytes);
  box.add("", "z", true);
  CHECK(queue->take()->data == "z");
}

TEST_CASE("several publishers, and one thread that takes: nothing is lost, and those of each are in order") {
  outbox box;
  auto const queue = box.open();
  constexpr int publishers = 3, each = 1000;
  std::vector<int> seen(publishers, 0);
  {
    std::vector<kino::native_thread> threads;
    for (int one = 0; one != publishers; ++one) {
      threads.emplace_back([&box, one](std::stop_token) {
        for (int i = 0; i != each; ++i) box.add(std::to_string(one), std::to_string(i), true);
      });
    }
    for (int taken = 0; taken != publishers * each; ++taken) {
      queue->changed().wait([&] { return queue->ready(); });
      auto const next = queue->take();
      REQUIRE(next);
      int const from = std::stoi(next->channel);
      CHECK(std::stoi(next->data) == seen[static_cast<std::size_t>(from)]++);
    }
  }
  box.close();
  queue->changed().wait([&] { return queue->ready(); });
  CHECK(!queue->take());
}
