// SPDX-License-Identifier: MIT
//
// A part of a file that is to be sent.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace kino::server {

/// A file_range is what is left to be sent of a file, from an offset on, and a descriptor of its own, which it closes.
///
/// The bytes are those that the file has when they are sent: a file that is replaced by another one of its name is sent as it was,
/// one that is overwritten meanwhile is sent in part as it is then.
///
/// Threads: one at a time.  Throws: nothing.
class file_range {
public:
  file_range() = default;
  file_range(file_range&& other) noexcept { *this = std::move(other); }
  file_range& operator=(file_range&& other) noexcept;
  ~file_range() { close(); }

  /// The range of a regular file, with a duplicate of `descriptor`. None if there is no descriptor left, or if reading the
  /// file may take as long as a network does: then a thread should read it that may wait.
  [[nodiscard]] static std::optional<file_range> of(int descriptor, std::uint64_t offset, std::uint64_t length) noexcept;

  [[nodiscard]] bool empty() const { return left_ == 0; }
  /// Number of bytes that are left.
  [[nodiscard]] std::uint64_t size() const { return left_; }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] int descriptor() const { return descriptor_; }

  /// The first `length` bytes have been sent.
  void consume(std::uint64_t length) noexcept {
    offset_ += length;
    left_ -= length;
  }
  /// Nothing is left.
  void close() noexcept;

private:
  int descriptor_ = -1;
  std::uint64_t offset_ = 0;
  std::uint64_t left_ = 0;
};

/// The path of an open file, for messages, which may hold any bytes; empty if the system knows none. Throws: std::bad_alloc.
[[nodiscard]] std::string path_of_file(int descriptor);

}  // namespace kino::server
