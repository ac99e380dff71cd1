// SPDX-License-Identifier: MIT
//
// worker_slots: a slot that shows a request in flight shows the request's own start time.

#include "model.hpp"

#include <kino/worker_slots.hpp>

#include <chrono>

namespace {

// A slot that never had work has a start time of zero, which would be read as a very long busy time.
struct starting : rl::test_suite<starting, 2> {
  kino::worker_slots slots{1};

  void before() { RL_ASSERT(slots.claim() == 0); }
  void thread(unsigned index) {
    if (index == 0) {
      slots.began(0);
    } else {
      auto const view = slots.view_of(0);
      auto const age = kino::detail::clock::now().time_since_epoch();
      if (view.in_flight != 0) RL_ASSERT(view.busy < age / 2);
    }
  }
};

}  // namespace

int main() { return model::verdict(model::holds<starting>("starting", 10'000)); }
