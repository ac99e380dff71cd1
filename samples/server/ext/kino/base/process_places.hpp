// SPDX-License-Identifier: MIT
//
// What the processes of one server know of each other.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace kino::server {

/// A process_places tells each of several processes how many connections the others have, so they get equal shares: the
/// kernel gives a connection to the process that is first to ask, and most of a burst to one. It also tells whether any of them
/// has a worker left that is not stuck.
///
/// It is created by the common parent before it forks, and lives in memory that all share. Each process has a place.
///
/// Threads: any, of any of the processes.  Blocks: never.
/// Throws:  std::system_error from the constructor (no memory).
/// Fork:    what it is for. A process that ends without a word keeps its numbers until the parent calls `vacate`.
class process_places {
public:
  explicit process_places(std::size_t count);
  ~process_places();
  process_places(process_places const&) = delete;

  [[nodiscard]] std::size_t size() const { return size_; }
  /// The process at this place accepts connections from now on, or no longer.
  void accepts(std::size_t place, bool now) noexcept;
  void opened(std::size_t place) noexcept { all_[place].connections.fetch_add(1, relaxed); }
  void closed(std::size_t place) noexcept { all_[place].connections.fetch_sub(1, relaxed); }
  [[nodiscard]] std::uint32_t connections(std::size_t place) const noexcept { return all_[place].connections.load(relaxed); }
  /// All workers of the process at this place are stuck, or no longer.
  void stuck(std::size_t place, bool now) noexcept { all_[place].stuck.store(now, relaxed); }
  /// The process at this place has ended.
  void vacate(std::size_t place) noexcept;
  /// Whether another process that accepts has fewer connections, by more than an eighth.
  [[nodiscard]] bool ahead(std::size_t place) const noexcept;
  /// Whether processes accept, and all of them are stuck.
  [[nodiscard]] bool all_stuck() const noexcept;

private:
  // Every number stands alone: it says which process should accept next or what operators are told, and no thread waits for it.
  static constexpr auto relaxed = std::memory_order_relaxed;

  struct alignas(64) place {  // a cache line
    std::atomic<std::uint32_t> connections;
    std::atomic<bool> accepts;
    std::atomic<bool> stuck;
  };
  static_assert(std::atomic<std::uint32_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);
  struct alignas(64) head {
    std::atomic<std::uint32_t> used;  // places from here on have never accepted
  };

  [[nodiscard]] std::size_t bytes() const { return sizeof(head) + size_ * sizeof(place); }

  std::size_t const size_;
  head* const head_;
  place* const all_;
};

/// The place of this process; without others, it is alone.
struct process_place {
  process_places* all = nullptr;
  std::size_t place = 0;

  void accepts(bool now) const noexcept {
    if (all) all->accepts(place, now);
  }
  void opened() const noexcept {
    if (all) all->opened(place);
  }
  void closed() const noexcept {
    if (all) all->closed(place);
  }
  void stuck(bool now) const noexcept {
    if (all) all->stuck(place, now);
  }
  [[nodiscard]] std::uint32_t connections() const noexcept { return all ? all->connections(place) : 0; }
  [[nodiscard]] bool ahead() const noexcept { return all && all->ahead(place); }
};

}  // namespace kino::server
