// SPDX-License-Identifier: MIT
//
// channel: a pushed value reaches a waiting thread, and no thread sleeps while there is work or room.

#include "model.hpp"

#include <kino/channel.hpp>

#include "../support/private_access.hpp"

// A value whose move throws, so the push of a woken producer fails.
struct brittle {
  bool fails = false;
  brittle() = default;
  explicit brittle(bool f) : fails(f) {}
  brittle(brittle&& other) : fails(other.fails) {  // NOLINT: throwing is its purpose
    if (fails) throw std::bad_alloc();
  }
  brittle& operator=(brittle&&) noexcept = default;
};

// Simulates a store that runs out of memory.
template <>
inline constexpr bool kino::detail::channel_value<brittle> = true;

using int_channel = kino::channel<int>;
KINO_TEST_REACH(consumers_of, int_channel, consumers_)
KINO_TEST_REACH(producers_of, int_channel, producers_)

using kino::pop_result;
using kino::push_result;

namespace {

// No thread is in a wait queue, and every search has ended; otherwise the next push would wake no thread.
void check_idle(int_channel& channel) {
  for (auto* throttle : {&consumers_of(channel), &producers_of(channel)}) {
    auto const now = throttle->read();
    RL_ASSERT(now.parked == 0 && now.searching == 0 && now.running == 0);
  }
}

// More values than places: producers wait for room, consumers for values.
struct back_pressure : rl::test_suite<back_pressure, 4> {
  kino::channel<int> channel{1};
  int popped = 0;

  void thread(unsigned index) {
    if (index < 2) {
      RL_ASSERT(channel.push(1) == push_result::pushed);
    } else {
      int value = 0;
      RL_ASSERT(channel.pop(value) == pop_result::popped);
      popped += value;
    }
  }
  void after() {
    RL_ASSERT(popped == 2);
    RL_ASSERT(channel.size() == 0);
    check_idle(channel);
  }
};

// If the second push finds a searching consumer, it wakes none; that consumer must then wake the other one.
struct two_sleepers : rl::test_suite<two_sleepers, 3> {
  kino::channel<int> channel{2};

  void thread(unsigned index) {
    if (index == 0) {
      RL_ASSERT(channel.try_push(1) == push_result::pushed);
      RL_ASSERT(channel.try_push(2) == push_result::pushed);
    } else {
      int value = 0;
      RL_ASSERT(channel.pop(value) == pop_result::popped);
    }
  }
  void after() { check_idle(channel); }
};

// close against a push, a waiting producer and two consumers.
struct closing : rl::test_suite<closing, 4> {
  kino::channel<int> channel{1};
  int pushed = 0;
  int popped = 0;

  void thread(unsigned index) {
    if (index == 0) {
      channel.close();
    } else if (index == 1) {
      for (int i = 0; i < 2; ++i) {
        if (channel.push(1) == push_result::pushed) ++pushed;
      }
    } else {
      int value = 0;
      while (channel.pop(value) == pop_result::popped) popped += value;
    }
  }
  void after() {
    RL_ASSERT(channel.drained());
    RL_ASSERT(pushed == popped);
    check_idle(channel);
  }
};

// A consumer is interrupted or times out after a push has woken it: then the other one must get the value.
struct leaving : rl::test_suite<leaving, 4> {
  kino::channel<int> channel{1};
  kino::detail::waiter self;

  void thread(unsigned index) {
    int value = 0;
    if (index == 0) {
      RL_ASSERT(channel.try_push(1) == push_result::pushed);
    } else if (index == 1) {
      self.spot.interrupt();
    } else if (index == 2) {
      auto const result = channel.pop_until(value, kino::detail::clock::time_point::max(), self);
      if (result == pop_result::popped) {
        channel.close();
      } else {
        RL_ASSERT(result == pop_result::interrupted || result == pop_result::timed_out);
      }
    } else {
      // Ends with the value or, if the other consumer has it, with close.
      auto const result = channel.pop(value);
      RL_ASSERT(result == pop_result::popped || result == pop_result::closed);
    }
  }
  void after() { check_idle(channel); }
};

struct failing_push : rl::test_suite<failing_push, 3> {
  kino::channel<brittle> channel{1};

  void before() { RL_ASSERT(channel.try_push(brittle{}) == push_result::pushed); }
  void thread(unsigned index) {
    if (index == 0) {
      brittle value;
      RL_ASSERT(channel.pop(value) == pop_result::popped);
      RL_ASSERT(channel.pop(value) == pop_result::popped);
    } else if (index == 1) {
      try {
        static_cast<void>(channel.push(brittle(true)));
        RL_ASSERT(false);
      } catch (std::bad_alloc const&) {
      }
    } else {
      RL_ASSERT(channel.push(brittle{}) == push_result::pushed);
    }
  }
};

}  // namespace

int main() {
  return model::verdict(model::holds<back_pressure>("back pressure", 30'000) &&
                        model::holds<two_sleepers>("two sleepers", 30'000) &&
                        model::holds<closing>("closing", 30'000) &&
                        model::holds<leaving>("leaving", 30'000) &&
                        model::holds<failing_push>("a failing push", 10'000));
}
