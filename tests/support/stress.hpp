// SPDX-License-Identifier: MIT
//
// For the stress programs: the amount of work, random numbers, a record of arrivals, and a watchdog that reports the
// state of a program without progress.

#pragma once

#include "sanitizers.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace stress {

/// The amount of work for this build: `full`, or a fifth of it under ThreadSanitizer.
constexpr std::uint32_t scaled(std::uint32_t full) {
  return under_thread_sanitizer ? full / 5 : full;
}

/// A cheap random number generator with a fixed seed, for one thread.
class dice {
public:
  explicit dice(std::uint32_t seed) : state_(seed * 2654435761u + 1) {}
  /// True once in `many` times.
  bool once_in(std::uint32_t many) { return next() % many == 0; }
  std::uint32_t below(std::uint32_t end) { return next() % end; }

private:
  std::uint32_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_ >> 3;
  }
  std::uint32_t state_;
};

/// One of the values that a producer numbers consecutively.
struct item {
  std::uint32_t producer = 0;
  std::uint32_t number = 0;
};

/// Counts how often each item has arrived.
class arrivals {
public:
  arrivals(std::uint32_t producers, std::uint32_t each) : seen_(producers) {
    for (auto& row : seen_) row = std::vector<std::atomic<std::uint8_t>>(each);
  }
  void note(item const& arrived) {
    seen_[arrived.producer][arrived.number].fetch_add(1, std::memory_order_relaxed);
    total_.fetch_add(1, std::memory_order_relaxed);
  }
  std::uint64_t total() const { return total_.load(std::memory_order_relaxed); }
  /// The number of items that did not arrive exactly once. Call after all threads have been joined.
  std::uint64_t wrong() const {
    std::uint64_t found = 0;
    for (auto const& row : seen_) {
      found += static_cast<std::uint64_t>(std::count_if(
          row.begin(), row.end(), [](auto const& times) { return times.load() != 1; }));
    }
    return found;
  }

private:
  std::vector<std::vector<std::atomic<std::uint8_t>>> seen_;
  std::atomic<std::uint64_t> total_{0};
};

/// Aborts the program, with a diagnosis, if `progress` does not change for a minute: then a thread sleeps forever, however
/// slow the machine is.
class watchdog {
public:
  watchdog(std::function<std::uint64_t()> progress, std::function<std::string()> describe)
      : thread_([this, progress = std::move(progress), describe = std::move(describe)] {
          std::uint64_t before = 0;
          std::unique_lock guard(mutex_);
          while (!done_.wait_for(guard, std::chrono::seconds(60), [this] { return ended_; })) {
            std::uint64_t const now = progress();
            if (now == before) {
              std::fprintf(stderr, "stress: no progress for a minute: %s\n", describe().c_str());
              std::abort();
            }
            before = now;
          }
        }) {}
  ~watchdog() {
    {
      std::lock_guard guard(mutex_);
      ended_ = true;
    }
    done_.notify_one();
    thread_.join();
  }

private:
  std::mutex mutex_;
  std::condition_variable done_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace stress
