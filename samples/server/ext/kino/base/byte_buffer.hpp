// SPDX-License-Identifier: MIT
//
// byte_buffer: bytes that are appended at one end and consumed at the other.
//
// std::string and std::vector set every byte they grow by; a server appends what it is about
// to overwrite anyway, and it keeps the memory from one request to the next.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace kino::server {

/// A byte_buffer is a growing array of bytes with a read position.
///
/// For any order of appending and consuming, each byte is moved at most twice on average, and the
/// capacity stays below four times the maximum content, or 512 bytes. `prepare` and `append` may
/// move the bytes: do not pass a view into the buffer itself, unless `prepare` has reserved the room
/// before.
///
/// Threads: one at a time.  Throws: std::bad_alloc, from `prepare` and `append`, which then change nothing.
class byte_buffer {
public:
  byte_buffer() = default;
  byte_buffer(byte_buffer&& other) noexcept { swap(other); }
  byte_buffer& operator=(byte_buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~byte_buffer() { std::free(bytes_); }

  void swap(byte_buffer& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(start_, other.start_);
    std::swap(end_, other.end_);
    std::swap(capacity_, other.capacity_);
  }

  [[nodiscard]] bool empty() const { return start_ == end_; }
  [[nodiscard]] std::size_t size() const { return end_ - start_; }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  [[nodiscard]] char const* data() const { return bytes_ + start_; }
  [[nodiscard]] char* data() { return bytes_ + start_; }
  [[nodiscard]] std::string_view view() const { return {data(), size()}; }

  /// Returns room for `length` bytes after the last one; `commit` adds them to the buffer.
  [[nodiscard]] char* prepare(std::size_t length) {
    if (capacity_ - end_ < length) grow(length);
    return bytes_ + end_;
  }
  void commit(std::size_t length) { end_ += length; }

  void append(std::string_view bytes) {
    if (bytes.empty()) return;
    std::memcpy(prepare(bytes.size()), bytes.data(), bytes.size());
    commit(bytes.size());
  }
  void append(char byte) {
    *prepare(1) = byte;
    commit(1);
  }

  /// Removes the first `length` bytes.
  void consume(std::size_t length) {
    start_ += length;
    if (start_ == end_) start_ = end_ = 0;
  }
  /// Removes all bytes after the first `length`.
  void truncate(std::size_t length) { end_ = start_ + length; }

  /// Removes all bytes; keeps the memory unless it is larger than `keep` bytes.
  void clear(std::size_t keep) {
    start_ = end_ = 0;
    if (capacity_ <= keep) return;
    std::free(std::exchange(bytes_, nullptr));
    capacity_ = 0;
  }

private:
  void grow(std::size_t length) {
    std::size_t const used = size();
    // Only into memory that is half empty then, so that small steps do not move all of it often.
    if (capacity_ / 2 >= used && capacity_ - used >= length) {
      if (start_ != 0) std::memmove(bytes_, bytes_ + start_, used);
    } else {
      reallocate(used, length);
    }
    start_ = 0;
    end_ = used;
  }

  void reallocate(std::size_t used, std::size_t length) {
    if (length > SIZE_MAX / 4 - used) throw std::bad_alloc();
    std::size_t wanted = capacity_ ? capacity_ : 512;
    while (wanted < 2 * used || wanted - used < length) wanted *= 2;
    void* const moved = start_ == 0 ? std::realloc(bytes_, wanted) : std::malloc(wanted);
    if (!moved) throw std::bad_alloc();
    if (start_ != 0) {
      std::memcpy(moved, bytes_ + start_, used);
      std::free(bytes_);
    }
    bytes_ = static_cast<char*>(moved);
    capacity_ = wanted;
  }

  char* bytes_ = nullptr;
  std::size_t start_ = 0;
  std::size_t end_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace kino::server
