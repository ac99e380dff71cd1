// SPDX-License-Identifier: MIT
//
// A histogram of latencies with buckets no wider than 1.6 % of their values.

#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace load {

/// A histogram counts durations in nanoseconds. Adding takes a few instructions and allocates nothing.
class histogram {
public:
  void add(std::int64_t nanoseconds) {
    auto const value = static_cast<std::uint64_t>(std::max<std::int64_t>(nanoseconds, 0));
    ++buckets_[index(value)];
    ++count_;
    sum_ += static_cast<double>(value);
    max_ = std::max(max_, value);
  }

  void add(histogram const& other) {
    for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] double mean() const { return count_ ? sum_ / static_cast<double>(count_) : 0; }
  [[nodiscard]] std::uint64_t max() const { return max_; }

  /// The duration that a `share` of all durations does not exceed: the upper bound of its bucket.
  [[nodiscard]] std::uint64_t quantile(double share) const {
    auto left = static_cast<std::int64_t>(share * static_cast<double>(count_) + 0.999999);
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      left -= static_cast<std::int64_t>(buckets_[i]);
      if (left <= 0) return std::min(upper_end(i), max_);
    }
    return max_;
  }

private:
  static constexpr unsigned detail_bits = 6;
  static constexpr std::uint64_t fine = 1u << detail_bits;

  // Values below 64 have a bucket each, every further power of two has 64 of them.
  static std::size_t index(std::uint64_t value) {
    if (value < fine) return value;
    unsigned const shift = static_cast<unsigned>(std::bit_width(value)) - detail_bits - 1;
    return (shift + 1) * fine + (value >> shift) - fine;
  }
  static std::uint64_t upper_end(std::size_t i) {
    if (i < fine) return i;
    std::uint64_t const shift = i / fine - 1;
    return ((i % fine + fine + 1) << shift) - 1;
  }

  std::array<std::uint64_t, fine * 48> buckets_{};  // up to 39 hours
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace load
