// SPDX-License-Identifier: MIT
//
// What the processes that accept from the same sockets know of each other.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace kino::server {

/// A connection_shares tells each of several processes how many connections the others have, so they get equal shares: the
/// kernel gives a connection to the process that is first to ask, and most of a burst to one.
///
/// It is created by the common parent before it forks, and lives in memory that all share. Each process has a place.
///
/// Threads: any, of any of the processes.  Blocks: never.
/// Throws:  std::system_error from the constructor (no memory).
/// Fork:    what it is for. A process that ends without a word keeps its numbers until the parent calls `vacate`.
class connection_shares {
public:
  explicit connection_shares(std::size_t places);
  ~connection_shares();
  connection_shares(connection_shares const&) = delete;

  [[nodiscard]] std::size_t places() const { return places_; }
  /// The process at this place accepts connections from now on, or no longer.
  void accepts(std::size_t place, bool now) noexcept { all_[place].accepts.store(now, relaxed); }
  void opened(std::size_t place) noexcept { all_[place].connections.fetch_add(1, relaxed); }
  void closed(std::size_t place) noexcept { all_[place].connections.fetch_sub(1, relaxed); }
  [[nodiscard]] std::uint32_t connections(std::size_t place) const noexcept { return all_[place].connections.load(relaxed); }
  /// The process at this place has ended.
  void vacate(std::size_t place) noexcept;
  /// Whether another process that accepts has fewer connections, by more than an eighth.
  [[nodiscard]] bool ahead(std::size_t place) const noexcept;

private:
  // Every number stands alone: it says which process should accept next, and no thread waits for it.
  static constexpr auto relaxed = std::memory_order_relaxed;

  struct alignas(64) share {  // a cache line
    std::atomic<std::uint32_t> connections;
    std::atomic<bool> accepts;
  };
  static_assert(std::atomic<std::uint32_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

  std::size_t const places_;
  share* const all_;
};

/// The place of this process; without shares, it is alone.
struct connection_share {
  connection_shares* shares = nullptr;
  std::size_t place = 0;

  void accepts(bool now) const noexcept {
    if (shares) shares->accepts(place, now);
  }
  void opened() const noexcept {
    if (shares) shares->opened(place);
  }
  void closed() const noexcept {
    if (shares) shares->closed(place);
  }
  [[nodiscard]] std::uint32_t connections() const noexcept { return shares ? shares->connections(place) : 0; }
  [[nodiscard]] bool ahead() const noexcept { return shares && shares->ahead(place); }
};

}  // namespace kino::server
