// SPDX-License-Identifier: MIT
//
// A byte sequence in a spool_file.

#pragma once

#include "base/spool_file.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace kino::server {

/// spooled_bytes are appended at the end, read at any position, and consumed from the front.
///
/// Threads: one at a time, but several may `read` while nothing changes.
/// Blocks:  as the file system does.
/// Throws:  as spool_file does; `append` then has added nothing.
/// Lifetime: ends before that of the spool_file.
class spooled_bytes {
public:
  spooled_bytes() = default;
  spooled_bytes(spooled_bytes const&) = delete;
  ~spooled_bytes() { clear(); }

  /// Sets the file for an empty sequence.
  void use(spool_file& file) noexcept { file_ = &file; }

  [[nodiscard]] bool empty() const { return start_ == end_; }
  [[nodiscard]] std::uint64_t size() const { return end_ - start_; }

  void append(std::string_view bytes);
  /// Copies `length` bytes from the position `at`, counted from the first byte that is left.
  void read(std::uint64_t at, char* out, std::size_t length) const;
  /// Removes the first `length` bytes.
  void consume(std::uint64_t length) noexcept;
  void clear() noexcept;

private:
  void release_first(std::size_t extents) noexcept;

  spool_file* file_ = nullptr;
  std::vector<spool_file::extent> extents_;
  std::uint64_t start_ = 0;  // less than the size of an extent
  std::uint64_t end_ = 0;    // positions in the extents
};

}  // namespace kino::server
