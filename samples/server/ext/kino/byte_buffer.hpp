// SPDX-License-Identifier: MIT
//
// Bytes that are appended at one end and consumed at the other.
//
// std::string and std::vector set every byte they grow by; a server appends what it is about
// to overwrite anyway, and it keeps the memory from one request to the next.

#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace kino::server {

/// A byte_buffer is a growing array of bytes with a read position.
///
/// Throws: std::bad_alloc, from `prepare` and `append`.
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

  /// Room for `length` bytes after the last one; `commit` makes them part of the buffer.
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

  /// Forgets the first `length` bytes.
  void consume(std::size_t length) {
    start_ += length;
    if (start_ == end_) start_ = end_ = 0;
  }
  /// Forgets everything after the first `length` bytes.
  void truncate(std::size_t length) { end_ = start_ + length; }

  /// Forgets everything; keeps the memory unless it is more than `keep` bytes.
  void clear(std::size_t keep) {
    start_ = end_ = 0;
    if (capacity_ <= keep) return;
    std::free(std::exchange(bytes_, nullptr));
    capacity_ = 0;
  }

private:
  void grow(std::size_t length) {
    std::size_t const used = size();
    if (start_ != 0) std::memmove(bytes_, bytes_ + start_, used);
    start_ = 0;
    end_ = used;
    if (capacity_ - used >= length) return;
    std::size_t wanted = capacity_ ? capacity_ * 2 : 512;
    while (wanted - used < length) wanted *= 2;
    void* const moved = std::realloc(bytes_, wanted);
    if (!moved) throw std::bad_alloc();
    bytes_ = static_cast<char*>(moved);
    capacity_ = wanted;
  }

  char* bytes_ = nullptr;
  std::size_t start_ = 0;
  std::size_t end_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace kino::server
