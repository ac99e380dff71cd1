// SPDX-License-Identifier: MIT

#include <kino/channel.hpp>

#include "../support/await.hpp"
#include "../support/fragile.hpp"
#include "../support/in_child.hpp"
#include "../support/private_access.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kino::pop_result;
using kino::push_result;

using int_channel = kino::channel<int>;
// Its throwing move simulates a queue that is out of memory.
template <>
inline constexpr bool kino::detail::channel_value<fragile> = true;
using fragile_channel = kino::channel<fragile>;

KINO_TEST_REACH(consumers_of, int_channel, consumers_)
KINO_TEST_REACH(producers_of, int_channel, producers_)
KINO_TEST_REACH(fragile_consumers_of, fragile_channel, consumers_)
KINO_TEST_REACH(fragile_producers_of, fragile_channel, producers_)

namespace {

void await_parked(kino::detail::wake_throttle& throttle, std::uint32_t count) {
  await([&] { return throttle.read().parked == count; });
}

void check_idle(kino::detail::wake_throttle& throttle) {
  auto const now = throttle.read();
  CHECK(now.parked == 0);
  CHECK(now.searching == 0);
  CHECK(now.running == 0);
}

// A thread that waits in a pop, and its result.
struct popper {
  int_channel& from;
  kino::detail::waiter self;
  int value = 0;
  pop_result result = pop_result::empty;
  std::thread thread;

  explicit popper(int_channel& channel)
      : from(channel),
        thread([this] { result = from.pop_until(value, std::nullopt, self); }) {}
  ~popper() { join(); }
  void join() {
    if (thread.joinable()) thread.join();
  }
};

struct pusher {
  int_channel& to;
  kino::detail::waiter self;
  int value;
  push_result result = push_result::full;
  std::thread thread;

  pusher(int_channel& channel, int what)
      : to(channel), value(what), thread([this] {
          result = to.push_until(std::move(value), std::nullopt, self);
        }) {}
  ~pusher() { join(); }
  void join() {
    if (thread.joinable()) thread.join();
  }
};

}  // namespace

TEST_CASE("a capacity out of range is refused") {
  CHECK_THROWS_AS(int_channel{0}, std::invalid_argument);
  CHECK_THROWS_AS(int_channel{2147483648u}, std::invalid_argument);
  CHECK_THROWS_AS(int_channel{std::numeric_limits<std::size_t>::max()}, std::invalid_argument);
  CHECK(int_channel(2147483647).capacity() == 2147483647);
}

TEST_CASE("a channel holds exactly its capacity") {
  for (std::size_t capacity : {1u, 2u, 3u, 31u, 32u, 33u, 1000u}) {
    CAPTURE(capacity);
    int_channel numbers{capacity};
    for (int round = 0; round < 3; ++round) {
      for (std::size_t i = 0; i < capacity; ++i) {
        REQUIRE(numbers.try_push(static_cast<int>(i)) == push_result::pushed);
      }
      CHECK(numbers.size() == capacity);
      CHECK(numbers.try_push(0) == push_result::full);
      int out = -1;
      for (std::size_t i = 0; i < capacity; ++i) {
        REQUIRE(numbers.try_pop(out) == pop_result::popped);
        REQUIRE(out == static_cast<int>(i));
      }
      CHECK(numbers.try_pop(out) == pop_result::empty);
    }
  }
}

TEST_CASE("each pop makes room for one push") {
  int_channel numbers{2};
  CHECK(numbers.try_push(1) == push_result::pushed);
  CHECK(numbers.try_push(2) == push_result::pushed);
  int out = 0;
  CHECK(numbers.try_pop(out) == pop_result::popped);
  CHECK(numbers.try_push(3) == push_result::pushed);
  CHECK(numbers.try_push(4) == push_result::full);
}

TEST_CASE("a push that fails leaves the value with its caller") {
  kino::channel<std::unique_ptr<int>> boxes{1};
  auto box = std::make_unique<int>(7);
  CHECK(boxes.try_push(std::make_unique<int>(1)) == push_result::pushed);

  CHECK(boxes.try_push(std::move(box)) == push_result::full);
  REQUIRE(box);
  CHECK(boxes.push_for(std::move(box), 1ms) == push_result::timed_out);
  REQUIRE(box);

  kino::detail::waiter self;
  self.spot.interrupt();
  CHECK(boxes.push_until(std::move(box), std::nullopt, self) == push_result::interrupted);
  REQUIRE(box);

  boxes.close();
  CHECK(boxes.try_push(std::move(box)) == push_result::closed);
  REQUIRE(box);
  CHECK(boxes.push(std::move(box)) == push_result::closed);
  REQUIRE(box);
  CHECK(*box == 7);
}

TEST_CASE("a pop that fails does not change its output") {
  int_channel numbers{1};
  int out = 42;
  CHECK(numbers.try_pop(out) == pop_result::empty);
  CHECK(numbers.pop_for(out, 1ms) == pop_result::timed_out);
  numbers.close();
  CHECK(numbers.try_pop(out) == pop_result::closed);
  CHECK(numbers.pop(out) == pop_result::closed);
  CHECK(out == 42);
}

TEST_CASE("a closed channel refuses pushes and drains before it reports closed") {
  int_channel numbers{4};
  CHECK(numbers.try_push(1) == push_result::pushed);
  CHECK(numbers.try_push(2) == push_result::pushed);
  CHECK(!numbers.closed());
  numbers.close();
  numbers.close();
  CHECK(numbers.closed());
  CHECK(!numbers.drained());
  CHECK(numbers.try_push(3) == push_result::closed);
  int out = 0;
  CHECK(numbers.try_pop(out) == pop_result::popped);
  CHECK(out == 1);
  CHECK(!numbers.drained());
  CHECK(numbers.pop(out) == pop_result::popped);
  CHECK(out == 2);
  CHECK(numbers.drained());
  CHECK(numbers.try_pop(out) == pop_result::closed);
  CHECK(numbers.pop(out) == pop_result::closed);
}

TEST_CASE("bulk operations stop at the capacity and at the number of available values") {
  int_channel numbers{3};
  std::array<int, 5> const in{1, 2, 3, 4, 5};
  auto source = in;
  auto const stopped = numbers.try_push_bulk(source.begin(), source.end());
  CHECK(stopped - source.begin() == 3);

  std::array<int, 5> out{};
  CHECK(numbers.try_pop_bulk(out.begin(), 2) == 2);
  CHECK(out == std::array<int, 5>{1, 2, 0, 0, 0});
  CHECK(numbers.try_pop_bulk(out.begin(), 5) == 1);
  CHECK(out[0] == 3);
  CHECK(numbers.try_pop_bulk(out.begin(), 5) == 0);
  CHECK(numbers.try_push_bulk(source.begin(), source.begin()) == source.begin());
  CHECK(numbers.try_pop_bulk(out.begin(), 0) == 0);
}

TEST_CASE("a bulk pop of the last values of a closed channel ends the waits of consumers") {
  int_channel numbers{2};
  CHECK(numbers.try_push(1) == push_result::pushed);
  kino::detail::waiter asleep;
  auto& throttle = consumers_of(numbers);
  throttle.enter(asleep, false, false);
  numbers.close();
  CHECK(throttle.read().parked == 1);
  std::array<int, 2> out{};
  CHECK(numbers.try_pop_bulk(out.begin(), 2) == 1);
  CHECK(throttle.read().parked == 0);
  CHECK(asleep.spot.park(std::nullopt) == kino::park_result::notified);
}

TEST_CASE("a push wakes a waiting consumer") {
  int_channel numbers{1};
  popper sleeper(numbers);
  await_parked(consumers_of(numbers), 1);
  CHECK(numbers.try_push(5) == push_result::pushed);
  sleeper.join();
  CHECK(sleeper.result == pop_result::popped);
  CHECK(sleeper.value == 5);
  CHECK(numbers.wake_count() == 1);
  check_idle(consumers_of(numbers));
}

TEST_CASE("a pop wakes a waiting producer") {
  int_channel numbers{1};
  CHECK(numbers.try_push(1) == push_result::pushed);
  pusher sleeper(numbers, 2);
  await_parked(producers_of(numbers), 1);
  int out = 0;
  CHECK(numbers.try_pop(out) == pop_result::popped);
  sleeper.join();
  CHECK(sleeper.result == push_result::pushed);
  CHECK(numbers.try_pop(out) == pop_result::popped);
  CHECK(out == 2);
  check_idle(producers_of(numbers));
}

TEST_CASE("close wakes every consumer of an empty channel") {
  int_channel numbers{1};
  popper first(numbers);
  popper second(numbers);
  await_parked(consumers_of(numbers), 2);
  numbers.close();
  first.join();
  second.join();
  CHECK(first.result == pop_result::closed);
  CHECK(second.result == pop_result::closed);
  check_idle(consumers_of(numbers));
}

TEST_CASE("close wakes every producer, and queued values can be popped") {
  int_channel numbers{1};
  CHECK(numbers.try_push(1) == push_result::pushed);
  pusher first(numbers, 2);
  pusher second(numbers, 3);
  await_parked(producers_of(numbers), 2);
  numbers.close();
  first.join();
  second.join();
  CHECK(first.result == push_result::closed);
  CHECK(second.result == push_result::closed);
  check_idle(producers_of(numbers));
  int out = 0;
  CHECK(numbers.pop(out) == pop_result::popped);
  CHECK(out == 1);
}

TEST_CASE("an interruption ends the wait of its thread only") {
  int_channel numbers{1};
  popper interrupted(numbers);
  popper other(numbers);
  await_parked(consumers_of(numbers), 2);
  interrupted.self.spot.interrupt();
  interrupted.join();
  CHECK(interrupted.result == pop_result::interrupted);
  CHECK(consumers_of(numbers).read().parked == 1);
  CHECK(numbers.try_push(1) == push_result::pushed);
  other.join();
  CHECK(other.result == pop_result::popped);
}

TEST_CASE("an interruption ends the wait of a producer") {
  int_channel numbers{1};
  CHECK(numbers.try_push(1) == push_result::pushed);
  pusher interrupted(numbers, 2);
  await_parked(producers_of(numbers), 1);
  interrupted.self.spot.interrupt();
  interrupted.join();
  CHECK(interrupted.result == push_result::interrupted);
  check_idle(producers_of(numbers));
}

TEST_CASE("an interruption before the wait remains in effect until it is cleared") {
  int_channel numbers{1};
  kino::detail::waiter self;
  int out = 0;
  self.spot.interrupt();
  CHECK(numbers.pop_until(out, std::nullopt, self) == pop_result::interrupted);
  CHECK(numbers.pop_until(out, std::nullopt, self) == pop_result::interrupted);
  self.spot.clear_interruption();
  CHECK(numbers.pop_until(out, kino::detail::clock::now(), self) == pop_result::timed_out);
}

TEST_CASE("an available value is returned despite an interruption or an expired deadline") {
  int_channel numbers{1};
  CHECK(numbers.try_push(1) == push_result::pushed);
  kino::detail::waiter self;
  self.spot.interrupt();
  int out = 0;
  CHECK(numbers.pop_until(out, std::nullopt, self) == pop_result::popped);
  CHECK(numbers.try_push(2) == push_result::pushed);
  CHECK(numbers.pop_for(out, -1h) == pop_result::popped);
  CHECK(out == 2);
}

TEST_CASE("a timeout may be the longest duration") {
  int_channel numbers{1};
  std::thread consumer([&] {
    int out = 0;
    await_parked(producers_of(numbers), 1);
    CHECK(numbers.pop(out) == pop_result::popped);
  });
  CHECK(numbers.push_for(1, std::chrono::hours::max()) == push_result::pushed);
  CHECK(numbers.push_for(2, std::chrono::nanoseconds::max()) == push_result::pushed);
  consumer.join();
  int out = 0;
  CHECK(numbers.pop_for(out, std::chrono::duration<double>(1e300)) == pop_result::popped);
  CHECK(numbers.pop_for(out, std::chrono::duration<float, std::milli>(0.5f)) ==
        pop_result::timed_out);
}

TEST_CASE("while a woken consumer is searching, pushes wake no other, and it wakes the next") {
  int_channel numbers{4};
  auto& throttle = consumers_of(numbers);
  // Two consumers have entered the wait queue; this thread plays all of them.
  kino::detail::waiter first;
  kino::detail::waiter second;
  throttle.enter(first, false, false);
  throttle.enter(second, false, false);
  for (int i = 0; i < 3; ++i) CHECK(numbers.try_push(std::move(i)) == push_result::pushed);
  CHECK(numbers.wake_count() == 1);
  CHECK(first.granted);
  CHECK(!second.granted);
  // A third consumer that finds a value neither sleeps nor wakes another one.
  int out = -1;
  CHECK(numbers.pop(out) == pop_result::popped);
  CHECK(numbers.wake_count() == 1);
  // The first one takes its value and wakes the next to search.
  CHECK(numbers.try_pop(out) == pop_result::popped);
  throttle.stop_searching(false);
  CHECK(throttle.notify() == kino::detail::wake_throttle::wake::woke);
  CHECK(second.granted);
  throttle.stop_searching(false);
}

TEST_CASE("sleeping consumers wake one another until every value is popped") {
  constexpr int consumers = 4;
  int_channel numbers{consumers};
  std::vector<std::unique_ptr<popper>> sleepers;
  for (int i = 0; i < consumers; ++i) sleepers.push_back(std::make_unique<popper>(numbers));
  await_parked(consumers_of(numbers), consumers);
  for (int i = 0; i < consumers; ++i) {
    REQUIRE(numbers.try_push(std::move(i)) == push_result::pushed);
  }
  for (auto& sleeper : sleepers) {
    sleeper->join();
    CHECK(sleeper->result == pop_result::popped);
  }
  CHECK(numbers.wake_count() >= consumers);
  check_idle(consumers_of(numbers));
}

TEST_CASE("a closed channel is not drained while a push is in flight") {
  fragile_channel values{2};
  std::atomic<bool> inside{false};
  std::atomic<bool> go_on{false};
  std::thread producer([&] {
    fragile value(9, [&] {
      inside = true;
      await([&] { return go_on.load(); });
    });
    CHECK(values.try_push(std::move(value)) == push_result::pushed);
  });
  await([&] { return inside.load(); });
  values.close();
  CHECK(!values.drained());
  fragile out;
  CHECK(values.try_pop(out) == pop_result::empty);
  CHECK(values.pop_for(out, 1ms) == pop_result::timed_out);

  pop_result result = pop_result::empty;
  std::thread consumer([&] { result = values.pop(out); });
  await_parked(fragile_consumers_of(values), 1);
  go_on = true;
  producer.join();
  consumer.join();
  CHECK(result == pop_result::popped);
  CHECK(out.number == 9);
  CHECK(values.pop(out) == pop_result::closed);
}

TEST_CASE("a push that is in flight at close and fails ends the waits of consumers") {
  fragile_channel values{2};
  std::atomic<bool> inside{false};
  std::atomic<bool> go_on{false};
  std::thread producer([&] {
    fragile value(9, [&] {
      inside = true;
      await([&] { return go_on.load(); });
      fragile::out_of_memory();
    });
    CHECK_THROWS_AS(static_cast<void>(values.try_push(std::move(value))), std::bad_alloc);
    CHECK(value.number == 9);
  });
  await([&] { return inside.load(); });
  values.close();
  pop_result result = pop_result::empty;
  fragile out;
  std::thread consumer([&] { result = values.pop(out); });
  await_parked(fragile_consumers_of(values), 1);
  go_on = true;
  producer.join();
  consumer.join();
  CHECK(result == pop_result::closed);
  CHECK(values.drained());
}

TEST_CASE("a push that throws keeps the value and releases its place") {
  fragile_channel values{1};
  fragile value(3, &fragile::out_of_memory);
  CHECK_THROWS_AS(static_cast<void>(values.try_push(std::move(value))), std::bad_alloc);
  CHECK(value.number == 3);
  CHECK(values.size() == 0);
  CHECK(values.try_push(std::move(value)) == push_result::pushed);
  CHECK(values.try_push(fragile(4)) == push_result::full);
  fragile out;
  CHECK(values.try_pop(out) == pop_result::popped);
  CHECK(out.number == 3);
}

TEST_CASE("a woken producer whose push throws wakes the next one") {
  fragile_channel values{1};
  auto& throttle = fragile_producers_of(values);
  CHECK(values.try_push(fragile(1)) == push_result::pushed);
  std::thread failing([&] {
    fragile value(2, &fragile::out_of_memory);
    CHECK_THROWS_AS(static_cast<void>(values.push(std::move(value))), std::bad_alloc);
  });
  await_parked(throttle, 1);
  push_result result = push_result::full;
  std::thread waiting([&] { result = values.push(fragile(3)); });
  await_parked(throttle, 2);

  fragile out;
  CHECK(values.try_pop(out) == pop_result::popped);
  failing.join();
  waiting.join();
  CHECK(result == push_result::pushed);
  check_idle(throttle);
}

TEST_CASE("writes before a push are visible after the pop of its value") {
  int_channel numbers{1};
  int written = 0;  // not atomic: ThreadSanitizer checks the order
  std::thread producer([&] {
    written = 77;
    CHECK(numbers.push(1) == push_result::pushed);
  });
  int out = 0;
  CHECK(numbers.pop(out) == pop_result::popped);
  CHECK(written == 77);
  producer.join();
}

TEST_CASE("a channel destroys values that were not popped") {
  auto const alive = std::make_shared<int>(1);
  {
    kino::channel<std::shared_ptr<int>> boxes{4};
    CHECK(boxes.try_push(std::shared_ptr<int>(alive)) == push_result::pushed);
    CHECK(boxes.try_push(std::shared_ptr<int>(alive)) == push_result::pushed);
    CHECK(alive.use_count() == 3);
  }
  CHECK(alive.use_count() == 1);
}

TEST_CASE("every push and pop throws in a forked child") {
  kino::channel<int> channel{4};
  REQUIRE(channel.try_push(1) == push_result::pushed);
  kino::detail::waiter self;
  int out = 0;
  std::vector<int> more{1, 2};
  std::vector<std::pair<char const*, std::function<void()>>> const members = {
      {"try_push", [&] { static_cast<void>(channel.try_push(1)); }},
      {"push", [&] { static_cast<void>(channel.push(1)); }},
      {"push_for", [&] { static_cast<void>(channel.push_for(1, 1h)); }},
      {"push_until", [&] { static_cast<void>(channel.push_until(1, std::nullopt, self)); }},
      {"try_push_bulk", [&] { static_cast<void>(channel.try_push_bulk(more.begin(), more.end())); }},
      {"try_pop", [&] { static_cast<void>(channel.try_pop(out)); }},
      {"pop", [&] { static_cast<void>(channel.pop(out)); }},
      {"pop_for", [&] { static_cast<void>(channel.pop_for(out, 1h)); }},
      {"pop_until", [&] { static_cast<void>(channel.pop_until(out, std::nullopt, self)); }},
      {"try_pop_bulk", [&] { static_cast<void>(channel.try_pop_bulk(&out, 1)); }},
  };
  for (auto const& [name, member] : members) {
    CAPTURE(name);
    CHECK(in_child([&] { return throws_made_before_fork("channel", member) && channel.size() == 1; }));
  }
  CHECK(channel.size() == 1);
}

TEST_CASE("a forked child can close and destroy a channel in which its parent's threads sleep") {
  auto channel = std::make_unique<kino::channel<int>>(1);
  std::jthread sleeper([&] {
    int out = 0;
    CHECK(channel->pop(out) == pop_result::closed);
  });
  // Other threads lock and unlock the mutexes of its wait queues constantly, also at the moment of a fork.
  kino::channel<int> busy{1};
  std::atomic<bool> done{false};
  std::vector<std::jthread> others;
  for (int i = 0; i < 2; ++i) {
    others.emplace_back([&] {
      int out = 0;
      while (!done) static_cast<void>(busy.pop_for(out, 0ms));
    });
  }
  for (int i = 0; i < 20; ++i) {
    CHECK(in_child([&] {
      busy.close();
      channel->close();
      channel.reset();
      return true;
    }));
  }
  done = true;
  channel->close();
}

namespace {

// C++ evaluates the default member initializers of a nested type after the class around it.
class clerk {
public:
  int copied(int number) {
    letter sent;
    sent.number = number;
    CHECK(letters_.try_push(std::move(sent)) == push_result::pushed);
    letter received;
    CHECK(letters_.try_pop(received) == pop_result::popped);
    return received.number;
  }

private:
  struct letter {
    int number = 7;
  };
  kino::channel<letter> letters_{1};
};

}  // namespace

TEST_CASE("a class can have a channel of its nested type") { CHECK(clerk().copied(3) == 3); }
