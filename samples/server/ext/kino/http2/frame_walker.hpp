// SPDX-License-Identifier: MIT
//
// frame_walker: where the frames of HTTP/2 begin.

#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kino::server {

/// A frame_walker finds the frames in what a client sends, in whatever parts it comes. nghttp2 says nothing of frames that
/// it ignores, such as those of unknown types, but they are read, too.
///
/// Threads: one at a time.
class frame_walker {
public:
  struct head {
    std::size_t length = 0;  ///< of what follows the head
    std::uint8_t type = 0;
    std::int32_t stream = 0;
  };

  /// Takes a part of one frame from the beginning of `bytes`, which is not empty.
  std::string_view next(std::string_view& bytes) {
    std::size_t length = 0;
    begins_ = false;
    if (left_ == 0) {
      length = std::min(bytes.size(), head_.size() - known_);
      std::copy_n(bytes.begin(), length, head_.begin() + static_cast<std::ptrdiff_t>(known_));
      known_ += length;
      begins_ = known_ == head_.size();
      if (begins_) {
        left_ = number(0, 3);
        known_ = 0;
      }
    }
    std::size_t const rest = std::min(bytes.size() - length, left_);
    left_ -= rest;
    std::string_view const part = bytes.substr(0, length + rest);
    bytes.remove_prefix(part.size());
    return part;
  }
  /// Whether the last part has completed the head of its frame.
  [[nodiscard]] bool begins() const { return begins_; }
  /// The head that was completed last.
  [[nodiscard]] head last_head() const {
    return {number(0, 3), static_cast<std::uint8_t>(number(3, 1)), static_cast<std::int32_t>(number(5, 4) & 0x7fffffff)};
  }

private:
  [[nodiscard]] std::size_t number(std::size_t place, std::size_t size) const {
    std::size_t value = 0;
    for (std::size_t i = place; i < place + size; ++i) value = value << 8 | static_cast<std::uint8_t>(head_[i]);
    return value;
  }

  static constexpr std::size_t preface_size = 24;

  std::array<char, 9> head_{};
  std::size_t known_ = 0;            // bytes of a head that is not complete
  std::size_t left_ = preface_size;  // until the next head
  bool begins_ = false;
};

}  // namespace kino::server
