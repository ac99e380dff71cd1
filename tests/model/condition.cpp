// SPDX-License-Identifier: MIT
//
// condition: a change is either seen by a predicate, or notified to the thread that evaluated it.

#include "model.hpp"

#include <kino/condition.hpp>

namespace {

// The parts of a state of one's own, relaxed: the condition orders them.
struct one_change : rl::test_suite<one_change, 3> {
  kino::condition changed;
  kino::detail::atomic<int> state{0};
  rl::var<int> data;

  void before() { data(RL_INFO) = 0; }
  void thread(unsigned index) {
    if (index == 0) {
      data(RL_INFO) = 1;
      state.store(1, std::memory_order_release);
      changed.notify_all();
      return;
    }
    changed.wait([&] { return state.load(std::memory_order_acquire) == 1; });
    RL_ASSERT(int(data(RL_INFO)) == 1);
  }
};

// The first change does not satisfy the waiting threads, and the wait of one of them can time out.
struct two_changes : rl::test_suite<two_changes, 3> {
  kino::condition changed;
  kino::detail::atomic<int> state{0};

  void thread(unsigned index) {
    if (index == 0) {
      for (int next : {1, 2}) {
        state.store(next, std::memory_order_relaxed);
        changed.notify_all();
      }
    } else if (index == 1) {
      changed.wait([&] { return state.load(std::memory_order_relaxed) == 2; });
    } else {
      static_cast<void>(changed.wait_until(kino::detail::clock::time_point::max(), [&] {
        return state.load(std::memory_order_relaxed) == 2;
      }));
    }
  }
};

}  // namespace

int main() {
  return model::verdict(model::holds<one_change>("one change", 20'000) &&
                        model::holds<two_changes>("two changes", 20'000));
}
