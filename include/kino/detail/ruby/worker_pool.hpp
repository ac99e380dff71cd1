// SPDX-License-Identifier: MIT
//
// The Ruby threads that work for one dispatcher: membership, requests in flight, turns. It is
// independent of the request type.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/detail/ruby/boundary.hpp>
#include <kino/detail/ruby/memberships.hpp>
#include <kino/detail/ruby/pool_member.hpp>
#include <kino/detail/ruby/signals.hpp>
#include <kino/detail/ruby/thread_events.hpp>
#include <kino/fork_mark.hpp>
#include <kino/gvl.hpp>
#include <kino/responder.hpp>
#include <kino/run_permits.hpp>
#include <kino/usable_cpus.hpp>
#include <kino/worker_slots.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

KINO_NAMESPACE_BEGIN
namespace detail {

/// A worker_pool gives joined threads a slot, a permit and a record of their requests in flight, which
/// another thread can end when they are gone.
///
/// Threads:    a member's functions: the Ruby thread that joined; `abandon`, `work_arrived`, `stop`
///             and the observers: any.
/// Blocks:     `wait_for_turn`.
/// Fork:       in a child, `check_process`, `join` and everything after it throw; `leave` only
///             clears the thread's thread_permit.
class worker_pool {
public:
  /// `permits` requests permits; they are used only if this Ruby has thread events. When the last
  /// member leaves, its thread calls `last_left`, which must not throw. Throws std::invalid_argument
  /// for an option out of range, in the words of a dispatcher's options.
  worker_pool(bool permits, run_permits::options chosen, std::function<bool()> work_waits,
       std::function<void()> last_left);
  worker_pool(worker_pool const&) = delete;
  /// Every member must have left, except in a forked child, which has none.
  ~worker_pool() {
    KINO_ASSERT(born_.forked() || slots_.occupied() == 0,
                "a dispatcher must not be destroyed before its workers have left: close it and "
                "wait for their threads first");
  }

  /// Throws std::runtime_error in a forked child.
  void check_process() const { born_.expect_same_process("dispatcher"); }
  [[nodiscard]] bool forked() const { return born_.forked(); }

  /// Called before `self` takes requests.
  static void expect_member(pool_member const& self) noexcept;

  /// Whether there is no member now.
  [[nodiscard]] bool empty() const { return (attendance() & ~attended) == 0; }
  /// Whether there were members and the last one has left.
  [[nodiscard]] bool deserted() const { return attendance() == attended; }

  /// Makes the calling thread a member and pins it; raises ThreadError if it is already a member or
  /// every slot is taken.
  [[nodiscard]] pool_member& join(gvl const& held);
  /// Abandons the requests in flight of `self` and frees its slot. Does nothing if the calling
  /// thread has not joined, or has left.
  void leave(gvl const& held, pool_member& self) noexcept;

  /// Whether `self` may look for a request now; if not, it must wait for its turn.
  [[nodiscard]] bool may_run(pool_member& self) { return permits_.acquire(self.permit()); }
  /// Releases the GVL and the permit, and sleeps until it is the turn of `self`, there will be no
  /// more requests, or Ruby interrupts; throws ruby_error if the interrupt raises or unwinds.
  void wait_for_turn(gvl const& held, pool_member& self);

  /// Called between two requests: without permits, releases the GVL after a slice. Otherwise only
  /// Ruby would switch threads, after 100 ms and in the middle of a request, whose client would
  /// then wait for a turn of every other thread of the Ractor. Throws ruby_error if an interrupt
  /// raises or unwinds.
  void share_gvl(gvl const& held, pool_member& self);

  /// Records that `self` has taken this request.
  void took(pool_member& self, weak_responder request) noexcept {
    slots_.began(self.index_);
    self.in_flight_.add(std::move(request));
  }
  /// Reports that the handler of the taken requests begins.
  void begin(pool_member& self) { permits_.begin(self.permit()); }
  /// Counts the requests that `self` has taken as finished.
  void finish(pool_member& self) noexcept {
    permits_.end(self.permit());
    for (std::size_t taken = self.in_flight_.clear(); taken > 0; --taken) {
      slots_.finished(self.index_);
    }
  }
  /// Releases the permit of `self`: there are no more requests to take.
  void retire(pool_member& self) { permits_.release(self.permit()); }

  /// Abandons the requests in flight of `who`; returns how many.
  std::size_t abandon(worker_id who) noexcept;
  /// Lets `who` take no more requests, and wakes it if it waits for one; returns false if it has left.
  bool dismiss(worker_id who) noexcept;
  /// Whether `self` was dismissed.
  [[nodiscard]] bool dismissed(pool_member const& self) const noexcept {
    return self.dismissed_.load(std::memory_order_relaxed);  // see there
  }
  /// Marks `who` as stuck, or removes the mark; returns false if it has left.
  bool quarantine(worker_id who, bool on) { return slots_.quarantine(who, on); }

  /// Reports that a request was queued.
  void work_arrived() { permits_.work_arrived(); }
  /// Reports that there will be no more requests.
  void stop() { permits_.stop(); }

  [[nodiscard]] pool_member& operator[](std::size_t index) { return members_[index]; }
  [[nodiscard]] worker_slots const& slots() const { return slots_; }
  [[nodiscard]] run_permits const& permits() const { return permits_; }
  [[nodiscard]] bool permits_in_use() const { return permits_in_use_; }

private:
  static run_permits::options const& check(bool permits, run_permits::options const& chosen);
  static constexpr std::uint32_t attended = 1u << 31;  // there has been a member

  // seq_cst: a leaving member subtracts itself before it looks for requests without a worker, and
  // a submitter publishes its request before it looks here.
  std::uint32_t attendance() const { return attendance_.load(std::memory_order_seq_cst); }

  friend class memberships;
  void free_place(pool_member& member) noexcept;

  bool const permits_in_use_;
  std::chrono::milliseconds const slice_;
  worker_slots slots_;
  std::unique_ptr<pool_member[]> const members_;
  run_permits permits_;
  std::function<void()> const last_left_;
  atomic<std::uint32_t> attendance_{0};  // number of members, and `attended`, read at once
  fork_mark const born_;
};

// --- implementation ---------------------------------------------------------

inline run_permits::options const& worker_pool::check(bool permits, run_permits::options const& chosen) {
  if (chosen.workers == 0 || chosen.workers > run_permits::most_workers) {
    throw std::invalid_argument("kino: a dispatcher needs 1 to 1048575 slots");
  }
  // Checked on every Ruby, including one without permits.
  if (permits && chosen.slice < std::chrono::milliseconds{1}) {
    throw std::invalid_argument("kino: a dispatcher with permits needs a slice of at least 1 ms");
  }
  return chosen;
}

inline worker_pool::worker_pool(bool permits, run_permits::options chosen, std::function<bool()> work_waits,
                  std::function<void()> last_left)
    : permits_in_use_(permits && ruby_has_thread_events),
      // The clock counts nanoseconds and cannot compare with the longest durations.
      slice_(std::min<std::chrono::milliseconds>(chosen.slice, run_permits::longest_slice)),
      slots_(check(permits, chosen).workers),
      members_(std::make_unique<pool_member[]>(chosen.workers)),
      permits_({.workers = chosen.workers,
                .concurrency = !permits_in_use_     ? 0
                               : chosen.concurrency ? chosen.concurrency
                                                    : usable_cpus(),
                // Without permits, no slice expires, and the option may be 0.
                .slice = permits_in_use_ ? chosen.slice : run_permits::options().slice},
               std::move(work_waits)),
      last_left_(std::move(last_left)) {
  if (permits_in_use_ || events_end_memberships) hear_thread_events();
  for (std::size_t i = 0; i < chosen.workers; ++i) {
    members_[i].index_ = i;
    members_[i].of_ = this;
    members_[i].permit_ = {&permits_, &permits_[i]};
  }
}

inline void worker_pool::expect_member([[maybe_unused]] pool_member const& self) noexcept {
  KINO_ASSERT(self.is_current(),
              "a worker takes requests in the Ruby thread that joined, after `join` and before `leave`: two threads "
              "that work are two workers");
}

inline pool_member& worker_pool::join(gvl const& held) {
  check_process();
  expect_gvl();
  VALUE const thread = rb_thread_current();
  memberships& joined = memberships_of_this_thread();
  joined.end_former(thread);
  if (joined.contain(*this)) {
    throw raise(rb_eThreadError, "kino: this thread has already joined this dispatcher");
  }
  protect(held, [] { static_cast<void>(pin_thread()); });  // workers start one by one
  protect(held, [] { memberships::mark_thread(); });
  std::size_t const index = slots_.claim();
  if (index == worker_slots::none) {
    throw raise(rb_eThreadError, "kino: all " + std::to_string(slots_.size()) +
                                     " worker slots are taken; choose more slots");
  }
  pool_member& self = members_[index];
  {
    lock guard(self.tenancy_);
    self.generation_ = slots_.view_of(index).workers;
    self.dismissed_.store(false, std::memory_order_relaxed);
  }
  std::uint32_t seen = attendance_.load(std::memory_order_relaxed);  // the exchange decides
  while (!attendance_.compare_exchange_weak(seen, (seen + 1) | attended,
                                            std::memory_order_seq_cst)) {}
  if (permits_in_use_) permit_of_this_thread() = self.permit_;
  self.thread_.store(thread, std::memory_order_relaxed);
  self.native_thread_.store(pthread_self(), std::memory_order_relaxed);
  joined.add(self);
  return self;
}

inline void worker_pool::leave(gvl const&, pool_member& self) noexcept {
  expect_gvl();
  if (self.thread_.load(std::memory_order_relaxed) != rb_thread_current()) return;
  memberships_of_this_thread().remove(self);
  if (permits_in_use_) permit_of_this_thread() = thread_permit{};
  if (born_.forked()) return;  // locks held by the parent's threads stay locked
  free_place(self);
}

inline void worker_pool::free_place(pool_member& member) noexcept {
  for (weak_responder const& request : member.in_flight_.take()) request.abandon();
  member.in_flight_.clear();
  permits_.release(member.permit());
  member.thread_.store(0, std::memory_order_relaxed);
  slots_.vacate(member.index_);
  if (attendance_.fetch_sub(1, std::memory_order_seq_cst) == (attended | 1)) last_left_();
}

// Runs on any native thread, perhaps without a Ruby thread: it must not call Ruby.
inline void memberships::end(pool_member& member) noexcept {
  member.of_->free_place(member);
}

inline std::size_t worker_pool::abandon(worker_id who) noexcept {
  if (who.index >= slots_.size() || born_.forked()) return 0;
  pool_member& member = members_[who.index];
  std::array<weak_responder, in_flight::limit> requests;
  {
    lock guard(member.tenancy_);
    if (member.generation_ != who.generation) return 0;
    requests = member.in_flight_.take();
  }
  // Outside the lock: delivering an outcome may call back into this object.
  std::size_t ended = 0;
  for (weak_responder const& request : requests) ended += request.abandon();
  return ended;
}

inline bool worker_pool::dismiss(worker_id who) noexcept {
  if (who.index >= slots_.size() || born_.forked()) return false;
  pool_member& member = members_[who.index];
  // A successor joins under this lock, so neither the mark nor the interruption can reach it.
  lock guard(member.tenancy_);
  if (member.generation_ != who.generation || !slots_.view_of(who.index).occupied) return false;
  member.dismissed_.store(true, std::memory_order_relaxed);
  member.permit().interrupt();
  return true;
}

inline void worker_pool::wait_for_turn(gvl const& held, pool_member& self) {
  run_permits::permit& permit = self.permit();
  auto result = run_permits::waited::interrupted;
  deadline const look = next_look(std::nullopt);
  auto work = [&]() noexcept { result = permits_.wait(permit, look); };
  auto unblock = [&]() noexcept { permit.interrupt(); };
  permit.clear_interruption();
  if (dismissed(self)) return;  // That may have been the interruption.
  // An earlier interrupt that Thread.handle_interrupt defers with `:on_blocking` is delivered here.
  held.check_interrupts();
  bool const waited = try_without_gvl(held, work, unblock);
  if (!permits_in_use_) self.has_gvl_since_ = std::chrono::steady_clock::now();
  bool const turn = result == run_permits::waited::granted || result == run_permits::waited::stopped;
  if (waited && turn) return;
  // An interrupt may run for long and may unwind: release the permit to other workers.
  if (!waited) permits_.release(permit);
  held.check_interrupts();
}

inline void worker_pool::share_gvl(gvl const& held, pool_member& self) {
  if (permits_in_use_) return;
  if (clock::now() - self.has_gvl_since_ < slice_) return;
  protect(held, [] { rb_thread_schedule(); });
  self.has_gvl_since_ = clock::now();
}

}  // namespace detail
KINO_NAMESPACE_END
