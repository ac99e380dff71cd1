// SPDX-License-Identifier: MIT
//
// run_queue: the actors of one worker that have something to do.

#pragma once

#include <kino/dispatch.hpp>

#include <memory>
#include <mutex>

class mailbox;

/// A run_queue holds the actors of one worker that are to run, in the order in which they were woken.
///
/// An actor is in it once at most, so a push allocates nothing and never fails.
///
/// Threads: `push` any; the rest: the worker.
/// Blocks:  `push` holds a leaf mutex for a few instructions.
class run_queue {
public:
  run_queue() = default;
  run_queue(run_queue const&) = delete;
  run_queue& operator=(run_queue const&) = delete;
  ~run_queue();

  /// Adds an actor, which must not be in a queue.
  void push(std::shared_ptr<mailbox> woken) noexcept;
  /// The next actor; null if there is none.
  std::shared_ptr<mailbox> try_take() noexcept;

  [[nodiscard]] bool empty() noexcept {
    std::lock_guard guard(mutex_);
    return !first_;
  }

  /// The parker that is notified when the queue is no longer empty.
  [[nodiscard]] kino::parker& arrival() noexcept { return arrival_; }
  [[nodiscard]] kino::fork_mark const& born() const noexcept { return born_; }

private:
  kino::leaf_mutex mutex_;
  std::shared_ptr<mailbox> first_;
  mailbox* last_ = nullptr;
  kino::parker arrival_;
  kino::fork_mark const born_;
};
