// SPDX-License-Identifier: MIT
//
// Bytes that wait for a client: in memory, and beyond that in a spool_file.

#pragma once

#include "base/byte_buffer.hpp"
#include "base/spooled_bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kino::server {

/// An output_buffer is a queue of bytes whose middle may lie in a file: `spill` moves there what was
/// appended, and `first` reads it back, a piece at a time.
///
/// Threads: one at a time.
/// Blocks:  as the file system does, in `spill` and `first`, if bytes are in the file.
/// Throws:  std::bad_alloc, and what spool_file throws; the bytes then stay where they are.
/// Lifetime: ends before that of the spool_file.
class output_buffer {
public:
  [[nodiscard]] bool empty() const { return front_.empty() && stored_.empty() && appended_.empty(); }
  [[nodiscard]] std::uint64_t size() const { return front_.size() + stored_.size() + appended_.size(); }
  /// Number of appended bytes that are in memory.
  [[nodiscard]] std::size_t appended() const { return appended_.size(); }
  /// Number of bytes in the file.
  [[nodiscard]] std::uint64_t stored() const { return stored_.size(); }
  /// Whether `first` returns all bytes.
  [[nodiscard]] bool contiguous() const { return front_.empty() && stored_.empty(); }

  void append(std::string_view bytes) { appended_.append(bytes); }
  /// Returns room for `length` bytes after the last one; `commit` appends them.
  [[nodiscard]] char* prepare(std::size_t length) { return appended_.prepare(length); }
  void commit(std::size_t length) { appended_.commit(length); }
  /// Moves the appended bytes to the file.
  void spill(spool_file& file);

  /// The first bytes; empty if there are none.
  [[nodiscard]] std::string_view first();
  /// Removes the first `length` bytes of those that `first` returned.
  void consume(std::size_t length) noexcept;

  /// Removes all bytes; keeps at most `keep` bytes of memory.
  void clear(std::size_t keep) noexcept;

private:
  byte_buffer front_;     // read back from the file
  spooled_bytes stored_;
  byte_buffer appended_;  // behind all others
};

}  // namespace kino::server
