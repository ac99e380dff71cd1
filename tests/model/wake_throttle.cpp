// SPDX-License-Identifier: MIT
//
// The handshake of wake_throttle: a thread that adds work looks for sleepers, a thread that goes to
// sleep looks for work, and one of the two sees the other.

#include "model.hpp"

#include <kino/detail/wake_throttle.hpp>

using kino::park_result;
using kino::detail::waiter;
using kino::detail::wake_throttle;

namespace {

// `pushers` add one piece of work each; `takers` sleep until they have had their share.
template <class Scenario, unsigned pushers, unsigned takers, std::uint32_t limit>
struct handshake : rl::test_suite<Scenario, static_cast<rl::thread_id_t>(pushers + takers)> {
  wake_throttle line{limit};
  kino::detail::atomic<int> work{0};

  void thread(unsigned index) {
    if (index < pushers) {
      work.fetch_add(1, std::memory_order_seq_cst);
      line.notify();
      return;
    }
    waiter self;
    bool searching = false;
    for (unsigned had = 0; had < pushers / takers;) {
      if (take()) {
        ++had;
        continue;
      }
      line.enter(self, searching, searching);
      searching = false;
      if (waits()) line.notify();
      RL_ASSERT(self.spot.park(std::nullopt) == park_result::notified);
      RL_ASSERT(self.granted);
      searching = true;
    }
    if (searching) {
      line.stop_searching(false);
      if (waits()) line.notify();
    }
  }
  bool take() {
    int seen = work.load(std::memory_order_seq_cst);
    while (seen > 0) {
      if (work.compare_exchange_weak(seen, seen - 1, std::memory_order_seq_cst)) return true;
    }
    return false;
  }
  bool waits() { return work.load(std::memory_order_seq_cst) > 0; }

  void after() {
    RL_ASSERT(line.read().parked == 0);
    RL_ASSERT(line.read().searching == 0);
    RL_ASSERT(line.read().running == 0);
    RL_ASSERT(work.load() == 0);
  }
};

struct one_to_one : handshake<one_to_one, 1, 1, wake_throttle::unlimited> {};
struct two_to_one : handshake<two_to_one, 2, 1, wake_throttle::unlimited> {};
struct two_to_two : handshake<two_to_two, 2, 2, wake_throttle::unlimited> {};
struct two_to_two_limited : handshake<two_to_two_limited, 2, 2, 1> {};

// A waiter that gives up while it is being woken takes the notification with it, and the next
// one that sleeps is the one that is woken.
struct giving_up : rl::test_suite<giving_up, 2> {
  wake_throttle line;
  bool granted = false;
  bool woke = false;

  void thread(unsigned index) {
    if (index == 0) {
      waiter self;
      line.enter(self, false, false);
      granted = !line.leave(self) && self.granted;
      RL_ASSERT(self.spot.park(kino::detail::clock::time_point::max()) ==
                park_result::timed_out);
      if (granted) line.stop_searching(false);
    } else {
      woke = line.notify() == wake_throttle::wake::woke;
    }
  }
  void after() {
    RL_ASSERT(granted == woke);
    RL_ASSERT(line.read().parked == 0);
    RL_ASSERT(line.read().searching == 0);
  }
};

}  // namespace

int main() {
  return model::verdict(model::holds<one_to_one>("one pusher, one taker", 30'000) &&
                        model::holds<two_to_one>("two pushers, one taker", 30'000) &&
                        model::holds<two_to_two>("two pushers, two takers", 30'000) &&
                        model::holds<two_to_two_limited>("two takers of whom one may run", 30'000) &&
                        model::holds<giving_up>("giving up", 30'000));
}
