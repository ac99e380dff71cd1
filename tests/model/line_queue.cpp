// SPDX-License-Identifier: MIT
//
// line_queue: lines are complete, none is lost, they are in order, and the consumer never sleeps while there is one.

#include "model.hpp"

#include <kino/detail/line_queue.hpp>
#include <kino/parker.hpp>

using kino::detail::line_queue;
using kino::park_result;
using kino::parker;

namespace {

// Each of `pushers` threads pushes `each` lines; the consumer sleeps until it has all. Before each push, the thread writes
// plain memory, which the consumer reads after the pop.
template <class Scenario, unsigned pushers, unsigned each>
struct hand_over : rl::test_suite<Scenario, static_cast<rl::thread_id_t>(pushers + 1)> {
  line_queue lines{1 << 16};
  parker spot;
  rl::var<int> written[pushers][each];

  void thread(unsigned index) {
    if (index < pushers) {
      push_all(index);
      return;
    }
    unsigned next[pushers] = {};
    for (unsigned had = 0; had < pushers * each;) {
      std::string_view line;
      if (lines.pop(line)) {
        ++had;
        auto const pusher = static_cast<unsigned>(line[0] - '0');
        auto const number = static_cast<unsigned>(line[1] - '0');
        RL_ASSERT(number == next[pusher]++);
        RL_ASSERT(written[pusher][number](RL_INFO) == 1);
        continue;
      }
      if (!lines.fall_asleep()) continue;
      RL_ASSERT(spot.park(std::nullopt) == park_result::notified);
      lines.wake_up();
    }
  }
  void push_all(unsigned index) {
    for (unsigned i = 0; i < each; ++i) {
      written[index][i](RL_INFO) = 1;
      char const line[] = {static_cast<char>('0' + index), static_cast<char>('0' + i)};
      auto const outcome = lines.push({line, 2});
      RL_ASSERT(outcome != line_queue::push_outcome::full);
      if (outcome == line_queue::push_outcome::consumer_sleeps) spot.notify();
    }
  }
};

struct one_pusher : hand_over<one_pusher, 1, 2> {};
struct two_pushers : hand_over<two_pushers, 2, 2> {};

// A line is popped after a line of another thread that was pushed earlier, if its own thread knew of that push.
struct one_order : rl::test_suite<one_order, 3> {
  line_queue lines{1 << 16};
  kino::detail::atomic<int> turn{0};

  void thread(unsigned index) {
    if (index == 0) {
      static_cast<void>(lines.push("0"));
      turn.store(1, std::memory_order_release);
    } else if (index == 1) {
      bool const second = turn.load(std::memory_order_acquire) == 1;
      static_cast<void>(lines.push(second ? "1" : "?"));
    } else {
      std::string_view line;
      while (lines.pop(line)) note(line[0]);
    }
  }
  void after() {
    std::string_view line;
    while (lines.pop(line)) note(line[0]);
    RL_ASSERT(count == 2);
  }
  void note(char what) {
    RL_ASSERT(what != '1' || count == 1);
    ++count;
  }
  int count = 0;  // the consumer's
};

}  // namespace

int main() {
  bool const all = model::holds<one_pusher>("one pusher", 30'000) &
                   model::holds<two_pushers>("two pushers", 30'000) &
                   model::holds<one_order>("one order", 30'000);
  return model::verdict(all);
}
