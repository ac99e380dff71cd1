// SPDX-License-Identifier: MIT
//
// bell: wakes all threads that wait for a recurring event.

#pragma once

#include <kino/parker.hpp>

#include <algorithm>
#include <mutex>
#include <vector>

namespace kino::server {

/// A bell wakes every listening thread when it is rung.
///
/// A listener enters, looks whether what it waits for is true, and parks if not: what happens
/// after it has entered wakes it.
///
/// Threads: any.  Blocks: never; takes a leaf mutex.
class bell {
public:
  void ring() {
    std::lock_guard guard(mutex_);
    // Under the lock: a listener that leaves takes its parker away. The parker's own lock is
    // held for a few instructions, by `notify`, which never looks for ours.
    for (kino::parker* one : listeners_) one->notify();
  }

  /// Registers one listening thread for its lifetime.
  class listener {
  public:
    explicit listener(bell& to) : bell_(to) {
      std::lock_guard guard(bell_.mutex_);
      bell_.listeners_.push_back(&spot_);
    }
    ~listener() {
      std::lock_guard guard(bell_.mutex_);
      std::erase(bell_.listeners_, &spot_);
    }
    listener(listener const&) = delete;
    [[nodiscard]] kino::parker& spot() { return spot_; }

  private:
    bell& bell_;
    kino::parker spot_;
  };

private:
  std::mutex mutex_;
  std::vector<kino::parker*> listeners_;
};

}  // namespace kino::server
