// SPDX-License-Identifier: MIT
//
// The handshake of wake_throttle: a thread that adds work checks for sleepers, a thread that goes to sleep checks for
// work, and at least one of the two sees the other.

#include "model.hpp"

#include <kino/detail/wake_throttle.hpp>

using kino::park_result;
using kino::detail::waiter;
using kino::detail::wake_throttle;

namespace {

// `pushers` add one piece of work each; `takers` sleep until they have their share.
template <class Scenario, unsigned pushers, unsigned takers, std::uint32_t limit>
struct handshake : rl::test_suite<Scenario, static_cast<rl::thread_id_t>(pushers + takers)> {
  wake_throttle throttle{limit};
  kino::detail::atomic<int> work{0};

  void thread(unsigned index) {
    if (index < pushers) {
      work.fetch_add(1, std::memory_order_seq_cst);
      throttle.notify();
      return;
    }
    waiter self;
    bool searching = false;
    for (unsigned had = 0; had < pushers / takers;) {
      if (take()) {
        ++had;
        continue;
      }
      throttle.enter(self, searching, searching);
      searching = false;
      if (waits()) throttle.notify();
      RL_ASSERT(self.spot.park(std::nullopt) == park_result::notified);
      RL_ASSERT(self.granted);
      searching = true;
    }
    if (searching) {
      throttle.stop_searching(false);
      if (waits()) throttle.notify();
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
    RL_ASSERT(throttle.read().parked == 0);
    RL_ASSERT(throttle.read().searching == 0);
    RL_ASSERT(throttle.read().running == 0);
    RL_ASSERT(work.load() == 0);
  }
};

struct one_to_one : handshake<one_to_one, 1, 1, wake_throttle::unlimited> {};
struct two_to_one : handshake<two_to_one, 2, 1, wake_throttle::unlimited> {};
struct two_to_two : handshake<two_to_two, 2, 2, wake_throttle::unlimited> {};
struct two_to_two_limited : handshake<two_to_two_limited, 2, 2, 1> {};

// A waiter that gives up while it is being woken consumes the notification and reports the grant.
struct giving_up : rl::test_suite<giving_up, 2> {
  wake_throttle throttle;
  bool granted = false;
  bool woke = false;

  void thread(unsigned index) {
    if (index == 0) {
      waiter self;
      throttle.enter(self, false, false);
      granted = !throttle.leave(self) && self.granted;
      RL_ASSERT(self.spot.park(kino::detail::clock::time_point::max()) ==
                park_result::timed_out);
      if (granted) throttle.stop_searching(false);
    } else {
      woke = throttle.notify() == wake_throttle::wake::woke;
    }
  }
  void after() {
    RL_ASSERT(granted == woke);
    RL_ASSERT(throttle.read().parked == 0);
    RL_ASSERT(throttle.read().searching == 0);
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
