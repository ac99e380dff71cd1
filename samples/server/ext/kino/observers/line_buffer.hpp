// SPDX-License-Identifier: MIT
//
// line_buffer: the memory in which a line is composed.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

namespace kino::server {

/// A line_buffer collects the bytes of one line. A line consists of dozens of short pieces; appending one takes a few
/// instructions and no call, and a line of usual length needs no allocation.
///
/// Threads: one at a time.
/// Throws:  std::bad_alloc, from members that append.
class line_buffer {
public:
  line_buffer() noexcept = default;
  line_buffer(line_buffer const&) = delete;
  line_buffer& operator=(line_buffer const&) = delete;

  [[nodiscard]] std::string_view text() const noexcept { return {begin_, static_cast<std::size_t>(at_ - begin_)}; }

  line_buffer& append(std::string_view bytes) {
    copy(room(bytes.size()), bytes);
    at_ += bytes.size();
    return *this;
  }
  line_buffer& operator+=(std::string_view bytes) { return append(bytes); }
  line_buffer& operator+=(char byte) {
    *room(1) = byte;
    ++at_;
    return *this;
  }

  /// The place for `size` more bytes; `advance` appends what has been written there.
  char* room(std::size_t size) {
    if (static_cast<std::size_t>(end_ - at_) < size) [[unlikely]] grow(size);
    return at_;
  }
  void advance(std::size_t size) noexcept { at_ += size; }

private:
  // Short pieces are copied as two words that may overlap.
  static void copy(char* to, std::string_view from) noexcept {
    std::size_t const size = from.size();
    if (size > 16) {
      std::memcpy(to, from.data(), size);
    } else if (size >= 8) {
      copy_ends<std::uint64_t>(to, from);
    } else if (size >= 4) {
      copy_ends<std::uint32_t>(to, from);
    } else if (size >= 2) {
      copy_ends<std::uint16_t>(to, from);
    } else if (size == 1) {
      *to = from.front();
    }
  }
  template <class Word>
  static void copy_ends(char* to, std::string_view from) noexcept {
    Word first, last;
    std::size_t const behind = from.size() - sizeof(Word);
    std::memcpy(&first, from.data(), sizeof first);
    std::memcpy(&last, from.data() + behind, sizeof last);
    std::memcpy(to, &first, sizeof first);
    std::memcpy(to + behind, &last, sizeof last);
  }

  void grow(std::size_t size) {
    std::size_t const used = text().size(), wanted = std::max(2 * used, used + size);
    std::unique_ptr<char[]> larger(new char[wanted]);
    std::memcpy(larger.get(), begin_, used);
    heap_ = std::move(larger);
    begin_ = heap_.get();
    at_ = begin_ + used;
    end_ = begin_ + wanted;
  }

  char own_[1000];  // most lines have fewer bytes
  std::unique_ptr<char[]> heap_;
  char* begin_ = own_;
  char* at_ = own_;
  char* end_ = own_ + sizeof own_;
};

}  // namespace kino::server
