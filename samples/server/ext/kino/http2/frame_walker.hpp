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

/// A frame_walker finds the frames in what a client sends, in whatever parts it comes, also those of which nghttp2 says
/// nothing.
///
/// Threads: one at a time.
class frame_walker {
public:
  struct head {
    std::size_t length = 0;  ///< of what follows the head
    std::uint8_t type = 0;
  };

  /// Calls `visit` with the head of each frame that ends in `bytes`, which follow the bytes of the call before.
  template <class Visit>
  void walk(std::string_view bytes, Visit visit) {
    if (preface_left_ != 0) preface_left_ -= take(bytes, preface_left_);
    while (!bytes.empty()) {
      if (left_ == 0 && !take_head(bytes)) return;
      left_ -= take(bytes, left_);
      if (left_ == 0) visit(head_);
    }
  }

private:
  static constexpr std::size_t head_size = 9;

  // Drops as many bytes as there are, at most `most`.
  static std::size_t take(std::string_view& bytes, std::size_t most) {
    std::size_t const length = std::min(bytes.size(), most);
    bytes.remove_prefix(length);
    return length;
  }
  static std::uint32_t number(char const* from) {
    auto const byte = [&](std::size_t at) { return std::uint32_t{static_cast<std::uint8_t>(from[at])}; };
    return byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
  }
  // Whether the head is complete.
  bool take_head(std::string_view& bytes) {
    char const* whole = bytes.data();
    std::size_t length = head_size;
    if (known_ != 0 || bytes.size() < head_size) {
      length = std::min(bytes.size(), head_size - known_);
      std::copy_n(bytes.begin(), length, part_.begin() + static_cast<std::ptrdiff_t>(known_));
      known_ += length;
      if (known_ == head_size) known_ = 0;
      whole = part_.data();
    }
    bytes.remove_prefix(length);
    if (known_ != 0) return false;
    std::uint32_t const first = number(whole);
    head_ = {first >> 8, static_cast<std::uint8_t>(first)};
    left_ = head_.length;
    return true;
  }

  std::size_t preface_left_ = 24;
  std::array<char, head_size> part_{};
  std::size_t known_ = 0;  // bytes of a head that is not complete
  head head_;
  std::size_t left_ = 0;  // of the frame
};

}  // namespace kino::server
