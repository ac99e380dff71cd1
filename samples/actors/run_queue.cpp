// SPDX-License-Identifier: MIT

#include "run_queue.hpp"

#include "mailbox.hpp"

#include <utility>

run_queue::~run_queue() {
  while (try_take()) {
  }
}

bool run_queue::push(std::shared_ptr<mailbox> woken) noexcept {
  {
    std::lock_guard guard(mutex_);
    if (closed_) return false;
    mailbox* const added = woken.get();
    (last_ ? last_->next_queued_ : first_) = std::move(woken);
    bool const others = std::exchange(last_, added) != nullptr;
    if (others) return true;  // The worker takes all of them before it waits.
  }
  arrival_.notify();
  return true;
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

void run_queue::close() noexcept {
  std::lock_guard guard(mutex_);
  closed_ = true;
}
