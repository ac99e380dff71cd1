// SPDX-License-Identifier: MIT
//
// Throttled waking: the queue of threads that wait for work, and the rule for waking one.
//
// Waking a thread is expensive; queueing is not. A push wakes a parked thread only if none is
// searching already; a searcher that finds work and sees more wakes the next one. The schedulers of
// Go (`wakep`, "spinning" Ms) and tokio ("searching" workers) do the same.

#pragma once

#include <kino/parker.hpp>

#include <cstdint>

KINO_NAMESPACE_BEGIN
namespace detail {

/// A waiter is one thread's entry in a wait queue.
struct waiter {
  parker spot;
  waiter* before = nullptr;  // guarded by the queue's mutex, like all below
  waiter* behind = nullptr;
  bool in_line = false;
  bool granted = false;  // removed from the queue by `notify`: counted as searching and running
};

/// A wake_throttle wakes one parked thread at a time, and only if none is already on its way.
///
/// One word holds three counts: threads *parked* in the wait queue; threads *searching* (woken, and
/// not yet decided whether there is work); and threads *running* (including searching ones), which
/// a wake-up never raises above `limit`.
///
/// No wake-up is lost. A thread that adds work publishes it before it reads the word. A thread that
/// parks, stops searching or stops running changes the word before it checks for work, and calls
/// `notify` itself if there is some. Both are seq_cst, so one of the two sees the other.
///
/// Threads: any, for all members; a waiter: its owner.
/// Blocks:  never; takes a leaf mutex around the wait queue.
class wake_throttle {
public:
  static constexpr std::uint32_t unlimited = (1u << 20) - 1;

  /// The order of waking: oldest first is fair, newest first is better for caches.
  enum class turn { oldest, newest };
  enum class wake { nobody_parked, already_searching, at_limit, woke };

  struct counts {
    std::uint32_t parked;
    std::uint32_t searching;
    std::uint32_t running;
  };

  explicit wake_throttle(std::uint32_t limit = unlimited, turn next = turn::oldest)
      : limit_(limit), turn_(next) {}

  /// Wakes the next thread if none is searching and another one may run. Call it after the work is
  /// visible.
  wake notify() {
    std::uint64_t const seen = word_.load(std::memory_order_seq_cst);
    wake const verdict = judge(seen);
    return verdict == wake::woke ? wake_one() : verdict;
  }

  /// Adds `self` to the wait queue and ends its searching and running. The caller must then check
  /// for work, call `notify` if there is some, and only then park.
  void enter(waiter& self, bool searching, bool running) {
    lock guard(mutex_);
    self.granted = false;
    self.in_line = true;
    self.before = last_;
    self.behind = nullptr;
    (last_ ? last_->behind : first_) = &self;
    last_ = &self;
    word_.fetch_add(one_parked - (searching ? one_searching : 0) -
                        (running ? one_running : 0),
                    std::memory_order_seq_cst);
  }

  /// Removes `self` from the wait queue. Returns false if another thread has already done so: then
  /// its notification has been sent, and `self.granted` tells whether it came with a grant.
  bool leave(waiter& self) {
    lock guard(mutex_);
    if (!self.in_line) {
      self.spot.consume_notification();
      return false;
    }
    unlink(self);
    word_.fetch_sub(one_parked, std::memory_order_seq_cst);
    return true;
  }

  /// Wakes all waiters without a grant: there will be no more work.
  void release_all() {
    lock guard(mutex_);
    while (first_) {
      waiter& next = *first_;
      unlink(next);
      word_.fetch_sub(one_parked, std::memory_order_seq_cst);
      wake_count_.fetch_add(1, std::memory_order_relaxed);  // pairs with nothing: a statistic
      next.spot.notify();
    }
  }

  /// Ends a search. The caller must then check for work and `notify` if there is some.
  void stop_searching(bool keep_running) {
    word_.fetch_sub(one_searching + (keep_running ? 0 : one_running),
                    std::memory_order_seq_cst);
  }

  /// Stops running. The caller must then check for work and `notify` if there is some.
  void stop_running() { word_.fetch_sub(one_running, std::memory_order_seq_cst); }

  /// Starts running if that is within the limit. Searchers are not counted for this: they may still
  /// wait for a lock (Ruby's GVL) that the caller holds.
  bool try_run() {
    std::uint64_t seen = word_.load(std::memory_order_seq_cst);
    do {
      if (arrived(seen) >= limit_) return false;
    } while (!word_.compare_exchange_weak(seen, seen + one_running, std::memory_order_seq_cst));
    return true;
  }

  /// Starts running, even beyond the limit: for a thread that already runs.
  void run_anyway() { word_.fetch_add(one_running, std::memory_order_seq_cst); }

  /// Stops running if more than the limit run, not counting searchers. This cannot miss work.
  bool try_step_back() {
    std::uint64_t seen = word_.load(std::memory_order_seq_cst);
    do {
      if (arrived(seen) <= limit_) return false;
    } while (!word_.compare_exchange_weak(seen, seen - one_running, std::memory_order_seq_cst));
    return true;
  }

  bool over_limit() const {
    // relaxed: a hint on the hot path; try_step_back decides.
    return arrived(word_.load(std::memory_order_relaxed)) > limit_;
  }

  counts read() const {
    std::uint64_t const seen = word_.load(std::memory_order_seq_cst);
    return {parked(seen), searching(seen), running(seen)};
  }

  std::uint32_t limit() const { return limit_; }

  /// Number of threads woken so far.
  std::uint64_t wake_count() const { return wake_count_.load(std::memory_order_relaxed); }

private:
  static constexpr std::uint64_t one_parked = 1;
  static constexpr std::uint64_t one_searching = std::uint64_t{1} << 20;
  static constexpr std::uint64_t one_running = std::uint64_t{1} << 40;
  static constexpr std::uint32_t mask = (1u << 20) - 1;

  static constexpr std::uint32_t parked(std::uint64_t word) {
    return static_cast<std::uint32_t>(word) & mask;
  }
  static constexpr std::uint32_t searching(std::uint64_t word) {
    return static_cast<std::uint32_t>(word >> 20) & mask;
  }
  static constexpr std::uint32_t running(std::uint64_t word) {
    return static_cast<std::uint32_t>(word >> 40) & mask;
  }
  // Threads that run and are not searching.
  static constexpr std::uint32_t arrived(std::uint64_t word) {
    return running(word) - searching(word);
  }

  wake judge(std::uint64_t word) const {
    if (parked(word) == 0) return wake::nobody_parked;
    if (searching(word) != 0) return wake::already_searching;
    if (running(word) >= limit_) return wake::at_limit;
    return wake::woke;
  }

  wake wake_one() {
    lock guard(mutex_);
    std::uint64_t seen = word_.load(std::memory_order_seq_cst);
    wake verdict;
    do {
      verdict = judge(seen);
      if (verdict != wake::woke) return verdict;
    } while (!word_.compare_exchange_weak(seen, seen - one_parked + one_searching + one_running,
                                          std::memory_order_seq_cst));
    // `parked` changes only under the mutex, so the queue is not empty.
    waiter& next = turn_ == turn::oldest ? *first_ : *last_;
    unlink(next);
    next.granted = true;
    wake_count_.fetch_add(1, std::memory_order_relaxed);  // pairs with nothing: a statistic
    next.spot.notify();
    return verdict;
  }

  void unlink(waiter& out) {
    (out.before ? out.before->behind : first_) = out.behind;
    (out.behind ? out.behind->before : last_) = out.before;
    out.in_line = false;
  }

  std::uint32_t const limit_;
  turn const turn_;
  mutex mutex_;
  waiter* first_ = nullptr;
  waiter* last_ = nullptr;
  atomic<std::uint64_t> wake_count_{0};
  alignas(cache_line) atomic<std::uint64_t> word_{0};
};

}  // namespace detail
KINO_NAMESPACE_END
