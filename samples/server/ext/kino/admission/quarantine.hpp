// SPDX-License-Identifier: MIT
//
// quarantine: finds workers that are stuck in a request, and limits how many of them are put aside.

#pragma once

#include "base/deadline.hpp"
#include "net/io_thread.hpp"
#include "net/notice.hpp"

#include <kino/stats.hpp>
#include <kino/worker_slots.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>

namespace kino::server {

/// A quarantine puts workers aside that have had their requests for longer than a time limit. Such a worker no longer counts,
/// another one takes its place, and it ends as soon as it returns. At most a number of workers is put aside at a time: each keeps
/// its thread and memory, and if many are stuck, more of them will be.
///
/// It costs requests nothing itself: it looks at the slots when the oldest request that it knows may be due, and at least once in the
/// time limit; while no worker is left, ten times a second.
///
/// Threads: those of `home`, for the callbacks; any, for all else.
/// Lifetime: destroyed after `home` has stopped; outlived by `slots`.
/// Blocks:  never.  Throws: std::bad_alloc, from the constructor.
class quarantine {
public:
  struct settings {
    clock::duration timeout{};  ///< Zero: no worker is put aside.
    std::size_t most = 0;       ///< Workers that are put aside at a time.
  };
  /// What is to be done; they must not throw.
  struct callbacks {
    /// Marks a worker in its slot, or removes the mark; returns false if it has left.
    std::function<bool(kino::worker_id, bool)> mark;
    /// A worker has been put aside, and so many are now.
    std::function<void(kino::worker_slots::view const&, std::size_t)> put_aside;
    /// A worker is stuck, but no more may be put aside; called once until one may.
    std::function<void(kino::worker_slots::view const&)> full;
    /// No worker is left, or there is one again: what `exhausted` returns has changed.
    std::function<void(bool)> none_left;
  };

  quarantine(io_thread& home, settings chosen, kino::worker_slots const& slots, callbacks calls);
  quarantine(quarantine const&) = delete;

  [[nodiscard]] bool enabled() const noexcept { return settings_.timeout != clock::duration::zero(); }
  /// Begins to look.
  void start() noexcept;
  /// A worker that had been put aside has left: another one may take its place in quarantine.
  void left() noexcept;

  /// Number of workers that are put aside now.
  [[nodiscard]] std::size_t size() const noexcept;
  /// Number of workers that have been put aside so far.
  [[nodiscard]] std::uint64_t total() const noexcept { return total_.total(); }
  /// Whether no worker is left: as many as may be are put aside, and all others are stuck.
  [[nodiscard]] bool exhausted() const noexcept { return exhausted(clock::now()); }

private:
  [[nodiscard]] clock::time_point due(kino::worker_slots::view const& worker) const noexcept;
  [[nodiscard]] bool admit(kino::worker_slots::view const& stuck, clock::time_point now) noexcept;
  [[nodiscard]] bool exhausted(clock::time_point now) const noexcept;
  void look() noexcept;

  settings const settings_;
  kino::worker_slots const& slots_;
  callbacks const calls_;
  kino::counter total_;
  notice look_notice_;
  deadline alarm_;  // the I/O thread's, as is all that follows
  clock::time_point alarm_at_{};
  bool full_ = false;
  bool none_left_ = false;
};

}  // namespace kino::server
