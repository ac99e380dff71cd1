// SPDX-License-Identifier: MIT
//
// What waits for a client that reads more slowly than it is written to.

#pragma once

#include "websocket/frame.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/uio.h>

namespace kino::server {

/// A kept_frames is a queue of frames for one client. They lie one behind the other in blocks of memory, which grow with their number,
/// so many small ones take little more than their bytes, and few allocations:
///
///     shared, up to most_copied bytes     copied
///     shared, longer                      referred to: the bytes are there once for all clients
///     not shared, up to most_joined       copied
///     not shared, longer                  copied alone, and referred to
///
/// Empty, it has no memory.
///
/// Threads: one at a time.
/// Throws:  std::bad_alloc, from `add`, which then changes nothing.
class kept_frames {
public:
  /// A reference takes half of that, but also time: its users are counted, and what it refers to is sent as a piece of its own.
  static constexpr std::size_t most_copied = 32;
  static constexpr std::size_t most_joined = 512;

  kept_frames() = default;
  kept_frames(kept_frames const&) = delete;
  ~kept_frames() { clear(); }

  [[nodiscard]] bool empty() const { return first_ == nullptr; }
  /// The number of frames that are messages.
  [[nodiscard]] std::size_t messages() const { return messages_; }
  /// Bytes of memory, with all of those that others share.
  [[nodiscard]] std::size_t memory() const { return memory_; }
  /// Bytes of memory that `add` would take.
  [[nodiscard]] std::size_t cost(std::size_t length, shared_frame const* whole) const;

  /// Adds a frame of `length` bytes in `pieces`; `whole`, unless it is null, is the same frame and may be shared.
  void add(std::span<iovec const> pieces, std::size_t length, shared_frame const* whole, bool message);
  /// Fills `into` with the first bytes; returns the number of pieces, which are valid until something else is called.
  [[nodiscard]] std::size_t first(std::span<iovec> into) const;
  /// Removes the first `length` bytes; there are as many.
  void consume(std::size_t length) noexcept;
  void clear() noexcept;

private:
  struct block;
  class entry;

  static bool copies(std::size_t length, bool shared) { return length <= (shared ? most_copied : most_joined); }
  [[nodiscard]] std::size_t next_room(std::size_t needed) const;
  [[nodiscard]] block& with_room(std::size_t needed);
  void refer(shared_frame frame, bool message);
  void drop_first() noexcept;
  void drop_block() noexcept;

  block* first_ = nullptr;
  block* last_ = nullptr;
  std::size_t offset_ = 0;  // in the first frame
  std::size_t memory_ = 0;
  std::size_t messages_ = 0;
};

}  // namespace kino::server
