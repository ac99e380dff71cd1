// SPDX-License-Identifier: MIT
//
// A request body that is collected before its worker is chosen.

#pragma once

#include "base/byte_buffer.hpp"
#include "base/spooled_bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace kino::server {

/// A body_spool stores a body: in memory while it is small, otherwise in a spool_file behind a
/// buffer in memory. A slow or large upload therefore costs neither a worker nor much memory.
///
/// One thread writes first, then others read; passing the request through the queue orders the two.
/// A reader claims the next bytes, which threads that share a GVL do one at a time, and copies them
/// out without a lock, because written bytes no longer change.
///
/// Memory: at most the limit, rounded up to a power of two, and 4 bytes per megabyte in the file.
/// Blocks: as the file system does, in bodies beyond the limit.
/// Throws: std::bad_alloc; std::system_error, if the file cannot be created, written or read.
/// Fork:   a child can read what is in memory; see spool_file for the rest.
/// Lifetime: ends before that of the spool_file.
class body_spool {
public:
  body_spool() = default;
  body_spool(body_spool const&) = delete;

  /// Begins an empty body that keeps at most `memory` bytes (at least one) in memory, and the rest in `file`.
  void begin(spool_file& file, std::size_t memory);

  // --- writing ---

  /// Returns room for some of the next `wanted` bytes, at least one.
  [[nodiscard]] std::span<char> prepare(std::size_t wanted);
  /// Adds the first `length` of them to the body.
  void commit(std::size_t length) { memory_.commit(length); }
  void append(std::string_view bytes);

  /// Gives memory to an empty spool, or takes it back.
  void swap_memory(byte_buffer& with) noexcept { memory_.swap(with); }

  // --- reading ---

  struct part {
    std::uint64_t at;
    std::size_t length;
  };

  [[nodiscard]] std::uint64_t size() const { return stored_.size() + memory_.size(); }
  /// Number of unclaimed bytes.
  [[nodiscard]] std::uint64_t left() const { return size() - claimed_; }
  /// Claims the next bytes, at most `most`, for the caller.
  [[nodiscard]] part claim(std::size_t most) noexcept;
  /// Copies claimed bytes to `out`.
  void copy(part const& from, char* out) const;
  /// Whether copying them reads from the file.
  [[nodiscard]] bool in_file(part const& from) const { return from.at < stored_.size(); }

  /// Clears the body: releases its part of the file, keeps at most `keep` bytes of memory.
  void reset(std::size_t keep) noexcept;

private:
  void spill();

  std::size_t limit_ = 0;
  byte_buffer memory_;    // the bytes that follow those in the file
  spooled_bytes stored_;  // in the file
  std::uint64_t claimed_ = 0;
};

}  // namespace kino::server
