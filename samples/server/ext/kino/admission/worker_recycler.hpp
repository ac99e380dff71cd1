// SPDX-License-Identifier: MIT
//
// worker_recycler: decides when workers are replaced because they have served enough requests.

#pragma once

#include <kino/leaf_mutex.hpp>
#include <kino/worker_slots.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

namespace kino::server {

/// A worker_recycler counts the requests of units, and plans the replacement of one unit after another.
///
/// A unit is what is replaced at once: a Ractor with all its workers, or the process. The supervisor gives it a number. A unit
/// that has taken its number of requests is due. It serves on until its successor does, so that the server never has fewer
/// workers; then its workers are to be dismissed. The next unit is due only when they have left: units that began together and are equally
/// busy would otherwise leave together. Therefore, and because of the jitter, a unit may take more requests than the limit.
///
/// The only unit of a recycler is the process: it has no successor here, and counts on while it has no workers.
///
/// Threads: `took` and `take`: each worker for its own slot; all else: any.
/// Blocks:  never; `joined`, `left`, `replace` and, for a new worker, `take` hold a leaf lock for a few instructions.
/// Throws:  `expect`; std::bad_alloc, from the constructor and `take`.
class worker_recycler {
public:
  struct limits {
    std::uint64_t max_requests = 0;  ///< 0: no unit is ever due.
    std::uint64_t jitter = 0;        ///< Up to so many are added for each unit, at random.
  };

  /// What is to do when a worker takes its next request.
  struct advice {
    std::optional<std::size_t> due;                ///< This unit is to be replaced; said once.
    std::vector<kino::worker_id> to_be_dismissed;  ///< These workers have successors.
  };

  /// For workers in the slots 0 to `slots` - 1, of units 0 to `units` - 1.
  worker_recycler(limits of, std::size_t slots, std::size_t units, std::uint32_t seed = std::random_device{}());

  [[nodiscard]] bool enabled() const noexcept { return limits_.max_requests != 0; }

  /// Throws std::invalid_argument if there is no unit of this number.
  void expect(std::size_t unit) const;
  /// A worker of this unit has joined. The first one makes it a new unit, unless it is the only one.
  void joined(kino::worker_id worker, std::size_t unit) noexcept;
  /// This worker leaves or takes no more requests. It may be called twice, and late.
  void left(kino::worker_id worker) noexcept;
  /// The worker of this slot has begun a request.
  void took(std::size_t slot) noexcept {
    if (enabled()) unit_of(slot).taken.fetch_add(1, std::memory_order_relaxed);  // a count, orders nothing
  }
  /// The worker of this slot is about to take a request. The vectors of almost all advices are empty.
  [[nodiscard]] advice take(std::size_t slot);
  /// The supervisor starts `successor` for the unit that is due, with so many workers.
  void replace(std::size_t due, std::size_t successor, std::size_t workers) noexcept;

private:
  struct unit {
    // relaxed: counts, which order nothing; the plan is made under the mutex.
    std::atomic<std::uint64_t> taken{0};
    std::atomic<std::uint64_t> limit{0};
    std::size_t members = 0;
    bool leaving = false;  // it has, or will have, a successor
  };
  struct place {
    std::size_t unit = 0;
    kino::worker_id worker;
    bool present = false;
    bool serves = false;  // has asked for a request; written by its worker and, while there is none, under the mutex
  };
  struct plan {
    std::size_t due;
    std::size_t successor;
    std::size_t missing;  // workers of the successor that do not serve yet
  };

  [[nodiscard]] unit& unit_of(std::size_t slot) noexcept { return units_[places_[slot].unit]; }
  [[nodiscard]] std::vector<kino::worker_id> begins(std::size_t slot);
  void end_plan_if_over() noexcept;

  limits const limits_;
  std::vector<unit> units_;
  std::vector<place> places_;
  kino::leaf_mutex mutex_;
  std::minstd_rand random_;
  std::optional<plan> plan_;
  std::atomic<bool> busy_{false};  // a unit is due or being replaced; relaxed: the exchange decides which thread reports it
};

}  // namespace kino::server
