// SPDX-License-Identifier: MIT
//
// minimum_rate: the deadline that a minimum transfer rate sets for a client.

#pragma once

#include "base/options.hpp"

#include <algorithm>
#include <cstdint>

namespace kino::server {

/// A minimum_rate computes the time by which a client must make more progress.
///
/// It begins with `grace`. Every byte of progress extends the deadline by its time at the minimum
/// rate, so a fast client earns a pause, but none longer than `longest_pause`. A client that occupies
/// a worker or memory must therefore send or read at the minimum rate on average; bursts and steady
/// transfer are treated alike.
///
/// Threads: one at a time; it belongs to its connection.
class minimum_rate {
public:
  minimum_rate(std::uint64_t bytes_per_second, clock::duration grace, clock::duration longest_pause)
      : bytes_per_second_(bytes_per_second), grace_(grace), longest_pause_(longest_pause) {}

  /// Restarts: the client must make progress from now on.
  void start(clock::time_point now) {
    last_ = now;
    due_ = bytes_per_second_ == 0 ? now + longest_pause_ : now + std::min(grace_, longest_pause_);
  }
  /// Records that the client has sent or read bytes.
  void progress(std::uint64_t bytes, clock::time_point now) {
    if (bytes == 0) return;
    last_ = now;
    clock::time_point const latest = now + longest_pause_;
    // Without a minimum, every byte earns the longest pause.
    double const seconds = static_cast<double>(bytes) / static_cast<double>(bytes_per_second_);
    std::chrono::duration<double> const most = latest - due_;
    if (bytes_per_second_ == 0 || seconds >= most.count()) {
      due_ = latest;
    } else {
      due_ += std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(seconds));
    }
  }
  /// The deadline.
  [[nodiscard]] clock::time_point due() const { return due_; }
  /// The deadline without a minimum rate: the longest pause since the last progress.
  [[nodiscard]] clock::time_point pause_due() const { return last_ + longest_pause_; }
  /// Whether the deadline applies because the client has stopped, not because it is slow.
  [[nodiscard]] bool stopped(clock::time_point now) const { return now - last_ >= longest_pause_; }

private:
  std::uint64_t const bytes_per_second_;  // 0: any
  clock::duration const grace_;
  clock::duration const longest_pause_;
  clock::time_point due_{};
  clock::time_point last_{};  // progress
};

}  // namespace kino::server
