// SPDX-License-Identifier: MIT

#include "run_queue.hpp"

#include "mailbox.hpp"

#include <utility>

run_queue::~run_queue() {
  while (try_take()) {
  }
}

void run_queue::push(std::shared_ptr<mailbox> woken) noexcept {
  {
    std::lock_guard guard(mutex_);
    mailbox* const added = woken.get();
    (last_ ? last_->next_queued_ : first_) = std::move(woken);
    bool const others = std::exchange(last_, added) != nullptr;
    if (others) return;  // The worker takes all of them before it waits.
  }
  arrival_.notify();
}

std::shared_ptr<mailbox> run_queue::try_take() noexcept {
  std::shared_ptr<mailbox> taken;
  {
    std::lock_guard guard(mutex_);
    if (!first_) return nullptr;
    taken = std::exchange(first_, std::move(first_->next_queued_));
    if (!first_) last_ = nullptr;
  }
  // Before the actor runs: a later wake-up puts it into the queue again.
  taken->queued_ = false;
  return taken;
}
