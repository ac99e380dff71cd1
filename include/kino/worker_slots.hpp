// SPDX-License-Identifier: MIT
//
// worker_slots: per-worker state for a supervisor.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/detail/deadline.hpp>
#include <kino/leaf_mutex.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

KINO_NAMESPACE_BEGIN

/// A worker_id identifies one worker of one slot, never its successor in that slot.
struct worker_id {
  std::size_t index = 0;         ///< The slot.
  std::uint64_t generation = 0;  ///< The number of the worker in that slot, from 1.

  /// Whether both identify the same worker.
  bool operator==(worker_id const&) const = default;
};

/// A worker_slots keeps a fixed number of slots for workers, with statistics for each.
///
/// A slot outlives its workers: when one dies, its successor takes the lowest free slot and
/// continues its counts, so a metric per slot never becomes a new series. Requests in flight when a
/// worker leaves are no longer counted, so a reused slot shows no phantom work. A stuck worker can
/// be marked `quarantined`; it keeps its slot until it leaves.
///
/// Threads: `began` and `finished`: the slot's worker; everything else: any.
/// GVL:     never needed.
/// Blocks:  never; `claim`, `vacate` and `quarantine` take a leaf mutex.
/// Throws:  std::bad_alloc, from the constructor and `snapshot`.
/// Fork:    a child may use an inherited object; the parent's workers keep their slots there.
///
/// Example:
///
///     kino::worker_slots slots{4};
///     std::size_t mine = slots.claim();           // 0
///     slots.began(mine);
///     assert(slots.snapshot()[0].in_flight == 1);
///     slots.finished(mine);
///     slots.vacate(mine);
///     assert(slots.claim() == 0);
///     assert(slots.snapshot()[0].served == 1);    // counts continue
///
class worker_slots {
public:
  /// The result of `claim` if every slot is taken.
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  /// The statistics of one slot at one moment.
  struct view {
    std::size_t index;               ///< The slot.
    bool occupied;                   ///< Whether a worker has the slot.
    bool quarantined;                ///< Whether that worker is marked as stuck.
    std::uint32_t in_flight;         ///< Requests taken and not finished.
    std::uint64_t served;            ///< Requests finished by all workers of this slot.
    std::uint64_t workers;           ///< Number of workers that have had this slot.
    std::chrono::milliseconds busy;  ///< Age of the oldest request in flight; 0 if idle.
    /// When that request began; 0 if idle. Two views of one request have the same time.
    std::chrono::steady_clock::time_point since;

    /// The worker that has the slot, or had it last.
    [[nodiscard]] worker_id id() const { return {index, workers}; }
  };

  /// Creates `count` free slots.
  explicit worker_slots(std::size_t count)
      : count_(count), slots_(std::make_unique<slot[]>(count)) {}

  /// Takes the lowest free slot; returns `none` if every slot is taken.
  [[nodiscard]] std::size_t claim() {
    std::lock_guard guard(mutex_);
    for (std::size_t i = 0; i < count_; ++i) {
      slot& found = slots_[i];
      if (found.occupied.load(std::memory_order_relaxed)) continue;  // written under the mutex
      found.in_flight.store(0, std::memory_order_relaxed);
      found.quarantined.store(false, std::memory_order_relaxed);
      add(found.workers, 1);
      // release: pairs with the acquire in view_of; a reader sees the fresh statistics.
      found.occupied.store(true, std::memory_order_release);
      return i;
    }
    return none;
  }

  /// Frees the slot; requests in flight are no longer counted.
  void vacate(std::size_t index) {
    std::lock_guard guard(mutex_);
    slots_[index].in_flight.store(0, std::memory_order_relaxed);
    slots_[index].quarantined.store(false, std::memory_order_relaxed);
    slots_[index].occupied.store(false, std::memory_order_release);  // as in claim
  }

  /// Counts one more request in flight. Reads the clock only if none was.
  void began(std::size_t index) {
    slot& mine = slots_[index];
    // relaxed loads and stores instead of read-modify-writes: one writer per slot.
    std::uint32_t const before = mine.in_flight.load(std::memory_order_relaxed);
    if (before == 0) {
      mine.since.store(detail::clock::now().time_since_epoch().count(),
                       std::memory_order_relaxed);
    }
    // release: pairs with the acquire in view_of, which must see this request with its time.
    mine.in_flight.store(before + 1, std::memory_order_release);
  }

  /// Counts one request in flight as served.
  void finished(std::size_t index) {
    slot& mine = slots_[index];
    std::uint32_t const before = mine.in_flight.load(std::memory_order_relaxed);
    KINO_ASSERT(before > 0, "a worker must finish each request exactly once, after beginning it");
    mine.in_flight.store(before - 1, std::memory_order_relaxed);
    add(mine.served, 1);
  }

  /// Marks a worker as stuck, or removes the mark; returns false if it has left its slot.
  bool quarantine(worker_id who, bool on) {
    if (who.index >= count_) return false;
    slot& place = slots_[who.index];
    std::lock_guard guard(mutex_);
    // relaxed: both are written under the mutex.
    if (!place.occupied.load(std::memory_order_relaxed) ||
        place.workers.load(std::memory_order_relaxed) != who.generation) {
      return false;
    }
    place.quarantined.store(on, std::memory_order_relaxed);  // a mark, orders nothing
    return true;
  }

  /// Number of slots.
  [[nodiscard]] std::size_t size() const { return count_; }

  /// Number of slots with a worker; may be stale on return.
  [[nodiscard]] std::size_t occupied() const {
    std::size_t found = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      found += slots_[i].occupied.load(std::memory_order_relaxed);  // a count, orders nothing
    }
    return found;
  }

  /// The statistics of slot `index`: each is exact, but they are not a consistent snapshot.
  [[nodiscard]] view view_of(std::size_t index) const {
    slot const& seen = slots_[index];
    bool const occupied = seen.occupied.load(std::memory_order_acquire);  // pairs with claim
    std::uint32_t const in_flight = seen.in_flight.load(std::memory_order_acquire);  // began
    detail::clock::time_point since;
    std::chrono::milliseconds busy{0};
    if (in_flight != 0) {
      since += detail::clock::duration{seen.since.load(std::memory_order_relaxed)};
      busy = std::chrono::duration_cast<std::chrono::milliseconds>(detail::clock::now() - since);
    }
    return {index,
            occupied,
            seen.quarantined.load(std::memory_order_relaxed),
            in_flight,
            seen.served.load(std::memory_order_relaxed),
            seen.workers.load(std::memory_order_relaxed),
            busy,
            since};
  }

  /// The statistics of every slot.
  [[nodiscard]] std::vector<view> snapshot() const {
    std::vector<view> views;
    views.reserve(count_);
    for (std::size_t i = 0; i < count_; ++i) views.push_back(view_of(i));
    return views;
  }

private:
  struct alignas(detail::cache_line) slot {
    detail::atomic<std::uint64_t> served{0};
    detail::atomic<std::uint64_t> workers{0};
    detail::atomic<detail::clock::rep> since{0};
    detail::atomic<std::uint32_t> in_flight{0};
    detail::atomic<bool> occupied{false};
    detail::atomic<bool> quarantined{false};
  };

  static void add(detail::atomic<std::uint64_t>& figure, std::uint64_t more) {
    figure.store(figure.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }

  std::size_t const count_;
  std::unique_ptr<slot[]> const slots_;
  leaf_mutex mutex_;  // makes claim and vacate exclusive; statistics are read without it
};

KINO_NAMESPACE_END
