// SPDX-License-Identifier: MIT
//
// A thread that counts ticks of time, and only while somebody needs that.

#pragma once

#include <kino/fork_mark.hpp>
#include <kino/parker.hpp>
#include <kino/start_thread.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

KINO_NAMESPACE_BEGIN
namespace detail {

/// A slice_watcher looks once a tick for what has lasted too long, and sleeps while nothing can.
///
/// No call is missed: whoever calls has published the work before it reads `watching_`, and the
/// watcher looks for work once more after it has said that it watches no longer.
///
/// Threads: `call`, `tick` and `wake_count` by any.
/// Blocks:  never, but for a leaf mutex around the sleeping watcher.
/// Fork:    a child has no watcher; there it can be destroyed.
class slice_watcher {
public:
  /// What it asks and tells, on its own thread. None may block or throw.
  struct duties {
    std::function<bool()> work_waits;            ///< Whether there is something to watch over.
    std::function<bool()> wake_one;              ///< Work came late: whether to go on watching.
    std::function<void(std::uint32_t)> inspect;  ///< Another tick; its number.
  };

  /// Throws std::system_error if the thread cannot be started.
  slice_watcher(std::chrono::nanoseconds length, duties what)
      : length_(length), duties_(std::move(what)), thread_(start_thread([this] { watch(); })) {}
  slice_watcher(slice_watcher const&) = delete;
  slice_watcher& operator=(slice_watcher const&) = delete;
  ~slice_watcher() {
    if (born_.forked()) {
      // The thread that sleeps here stayed in the parent, and destroying a condition variable
      // waits for its sleepers: it is left alone. So is the thread's handle: its number may by
      // now be that of a thread which the child has started.
      std::construct_at(&thread_);
      static_cast<void>(spot_.release());
      return;
    }
    spot_->interrupt();
    thread_.join();
  }

  /// Has it watch, after the work that waits was published.
  void call() {
    // seq_cst: work was published before this load, and the watcher looks for work after it
    // stores false; one of the two sees the other.
    if (!watching_.load(std::memory_order_seq_cst) &&
        !watching_.exchange(true, std::memory_order_seq_cst)) {
      spot_->notify();
    }
  }
  /// The number of the last tick. It stands still while nobody watches.
  [[nodiscard]] std::uint32_t tick() const {
    return tick_.load(std::memory_order_relaxed);  // a late view costs one tick
  }
  /// How many times it woke so far.
  [[nodiscard]] std::uint64_t wake_count() const {
    return wakes_.load(std::memory_order_relaxed);  // pairs with nothing: a statistic
  }

private:
  void watch() {
    for (;;) {
      if (spot_->park(std::nullopt) == park_result::interrupted) return;
      while (watching_.load(std::memory_order_relaxed)) {  // own thread's store, or our caller's
        if (spot_->park(clock::now() + length_) == park_result::interrupted) return;
        wakes_.fetch_add(1, std::memory_order_relaxed);  // pairs with nothing: a statistic
        if (duties_.work_waits()) {
          // relaxed: this thread alone counts ticks; the others copy the number.
          duties_.inspect(tick_.fetch_add(1, std::memory_order_relaxed) + 1);
          continue;
        }
        watching_.store(false, std::memory_order_seq_cst);  // pairs with call
        // What came meanwhile has not called: it saw that somebody watches.
        if (duties_.work_waits() && duties_.wake_one()) {
          watching_.store(true, std::memory_order_seq_cst);
        }
      }
    }
  }

  std::chrono::nanoseconds const length_;
  duties const duties_;
  atomic<bool> watching_{false};
  atomic<std::uint64_t> wakes_{0};
  alignas(cache_line) atomic<std::uint32_t> tick_{0};
  std::unique_ptr<parker> spot_ = std::make_unique<parker>();
  fork_mark const born_;
  thread thread_;
};

}  // namespace detail
KINO_NAMESPACE_END
