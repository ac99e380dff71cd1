// SPDX-License-Identifier: MIT
//
// How slowly a client may send or read.

#pragma once

#include "base/options.hpp"

#include <algorithm>
#include <cstdint>

namespace kino::server {

/// A minimum_rate says until when a client has to make more progress.
///
/// It begins with `grace`. Every byte of progress pays for as long as it takes at the rate; a
/// client that was fast has paid for a pause, but for none longer than `longest_pause`. So what
/// holds a worker or memory costs the client at least the rate, byte by byte, and a client that
/// sends in bursts is not told from one that sends steadily.
///
/// Threads: none; it belongs to its connection.
class minimum_rate {
public:
  minimum_rate(std::uint64_t bytes_per_second, clock::duration grace, clock::duration longest_pause)
      : bytes_per_second_(bytes_per_second), grace_(grace), longest_pause_(longest_pause) {}

  /// Begins anew: the client is waited for from now on.
  void start(clock::time_point now) {
    last_ = now;
    due_ = bytes_per_second_ == 0 ? now + longest_pause_ : now + std::min(grace_, longest_pause_);
  }
  /// The client has sent or read so many bytes.
  void progress(std::uint64_t bytes, clock::time_point now) {
    if (bytes == 0) return;
    last_ = now;
    clock::time_point const latest = now + longest_pause_;
    // Without a minimum every byte pays for the longest pause.
    double const seconds = static_cast<double>(bytes) / static_cast<double>(bytes_per_second_);
    std::chrono::duration<double> const most = latest - due_;
    if (bytes_per_second_ == 0 || seconds >= most.count()) {
      due_ = latest;
    } else {
      due_ += std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(seconds));
    }
  }
  /// When it is too late.
  [[nodiscard]] clock::time_point due() const { return due_; }
  /// Whether it is so because the client has stopped, and not because it is slow.
  [[nodiscard]] bool stopped(clock::time_point now) const { return now - last_ >= longest_pause_; }

private:
  std::uint64_t const bytes_per_second_;  // 0: any
  clock::duration const grace_;
  clock::duration const longest_pause_;
  clock::time_point due_{};
  clock::time_point last_{};  // progress
};

}  // namespace kino::server
