// SPDX-License-Identifier: MIT
//
// The Ruby threads that work for one dispatcher: who has joined, what each has taken, whose turn
// it is. It knows nothing of what requests carry.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/detail/ruby/boundary.hpp>
#include <kino/detail/ruby/crew_member.hpp>
#include <kino/detail/ruby/signals.hpp>
#include <kino/detail/ruby/thread_events.hpp>
#include <kino/fork_mark.hpp>
#include <kino/gvl.hpp>
#include <kino/responder.hpp>
#include <kino/run_permits.hpp>
#include <kino/usable_cpus.hpp>
#include <kino/worker_slots.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

KINO_NAMESPACE_BEGIN
namespace detail {

/// A crew gives joined threads a place, a permit and a record of what they have in flight, so that
/// somebody else can end that when they are gone.
///
/// Threads:    a member's functions by the Ruby thread that joined; `abandon`, `work_arrived`,
///             `stop` and the observers by anyone.
/// Blocks:     `wait_for_turn`.
/// Fork:       in a child `check_process` throws, and so do `join` and everything after it; `leave`
///             only forgets the thread's seat.
class crew {
public:
  /// `permits` asks for permits; they are in use if this Ruby has thread events, too.
  /// `last_left` is called by the thread that left when no member is left; it must not throw.
  crew(bool permits, run_permits::options chosen, std::function<bool()> work_waits,
       std::function<void()> last_left);
  crew(crew const&) = delete;
  /// Every member has left, except in a forked child, which has none.
  ~crew() {
    KINO_ASSERT(born_.forked() || slots_.occupied() == 0,
                "a dispatcher must not be destroyed before its workers have left: close it and "
                "wait for their threads first");
  }

  /// Throws std::runtime_error in a forked child.
  void check_process() const { born_.expect_same_process("dispatcher"); }
  [[nodiscard]] bool forked() const { return born_.forked(); }

  /// Whether there is no member now.
  [[nodiscard]] bool empty() const { return (attendance() & ~attended) == 0; }
  /// Whether there were members, and the last one has left.
  [[nodiscard]] bool deserted() const { return attendance() == attended; }

  /// Makes the calling thread a member and pins it; raises ThreadError if it is one already or
  /// every slot is taken.
  [[nodiscard]] crew_member& join(gvl const& held);
  /// Ends what `self` has in flight as abandoned and frees its slot; nothing if the calling
  /// thread is not the one that joined, or has left.
  void leave(gvl const& held, crew_member& self) noexcept;

  /// Whether `self` may look for a request now; if not, it has to wait for its turn.
  [[nodiscard]] bool may_run(crew_member& self) { return permits_.acquire(self.permit()); }
  /// Releases the GVL and the permit and sleeps until it is the turn of `self`, there will be no
  /// more requests, or Ruby interrupts; throws ruby_error if the interrupt leaves.
  void wait_for_turn(gvl const& held, crew_member& self);

  /// Between two requests. Without permits only Ruby ends the turn of a thread that computes,
  /// after 100 ms and in the middle of a request, whose client then waits until all other
  /// threads of the Ractor have had their turns. So after a slice the GVL goes to the next one
  /// here. Throws ruby_error if an interrupt leaves.
  void share_gvl(gvl const& held, crew_member& self);

  /// Notes that `self` has taken this request.
  void took(crew_member& self, weak_responder request) noexcept {
    slots_.began(self.index_);
    self.in_flight_.add(std::move(request));
  }
  /// Says that the handler of what was taken begins.
  void begin(crew_member& self) { permits_.begin(self.permit()); }
  /// Counts what `self` has taken as finished.
  void finish(crew_member& self) noexcept {
    permits_.end(self.permit());
    for (std::size_t taken = self.in_flight_.clear(); taken > 0; --taken) {
      slots_.finished(self.index_);
    }
  }
  /// Gives the permit of `self` up for good: there is nothing left to take.
  void retire(crew_member& self) { permits_.release(self.permit()); }

  /// Ends what `who` has in flight as abandoned; returns how many requests that were.
  std::size_t abandon(worker_id who) noexcept;
  /// Marks `who` as stuck, or takes the mark away; returns false if it has left.
  bool quarantine(worker_id who, bool on) { return slots_.quarantine(who, on); }

  /// Says that a request was queued.
  void work_arrived() { permits_.work_arrived(); }
  /// Says that there will be no more requests.
  void stop() { permits_.stop(); }

  [[nodiscard]] crew_member& operator[](std::size_t index) { return members_[index]; }
  [[nodiscard]] worker_slots const& slots() const { return slots_; }
  [[nodiscard]] run_permits const& permits() const { return permits_; }
  [[nodiscard]] bool permits_in_use() const { return permits_in_use_; }

private:
  static constexpr std::uint32_t attended = 1u << 31;  // there was a member at some time

  // seq_cst: a member that leaves subtracts itself before it looks for requests without a worker,
  // and a submitter publishes the request before it looks here.
  std::uint32_t attendance() const { return attendance_.load(std::memory_order_seq_cst); }

  friend class memberships;
  void free_place(crew_member& member) noexcept;

  bool const permits_in_use_;
  std::chrono::milliseconds const slice_;
  worker_slots slots_;
  std::unique_ptr<crew_member[]> const members_;
  run_permits permits_;
  std::function<void()> const last_left_;
  atomic<std::uint32_t> attendance_{0};  // how many members, and `attended`: one word, one question
  fork_mark const born_;
};

// --- implementation ---------------------------------------------------------

inline crew::crew(bool permits, run_permits::options chosen, std::function<bool()> work_waits,
                  std::function<void()> last_left)
    : permits_in_use_(permits && ruby_has_thread_events),
      slice_(chosen.slice),
      slots_(chosen.workers),
      members_(std::make_unique<crew_member[]>(chosen.workers)),
      permits_({.workers = chosen.workers,
                .concurrency = !permits_in_use_     ? 0
                               : chosen.concurrency ? chosen.concurrency
                                                    : usable_cpus(),
                // Without permits nothing expires, and a slice may be 0.
                .slice = permits_in_use_ ? chosen.slice : run_permits::options().slice},
               std::move(work_waits)),
      last_left_(std::move(last_left)) {
  if (permits_in_use_) hear_thread_events();
  for (std::size_t i = 0; i < chosen.workers; ++i) {
    members_[i].index_ = i;
    members_[i].of_ = this;
    members_[i].seat_ = {&permits_, &permits_[i]};
  }
}

inline crew_member& crew::join(gvl const& held) {
  check_process();
  VALUE const thread = rb_thread_current();
  memberships::of_this_thread().end_former(thread);
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (members_[i].thread_.load(std::memory_order_relaxed) == thread) {
      throw raise(rb_eThreadError, "kino: this thread has already joined this dispatcher");
    }
  }
  kino::pin_thread(held);
  std::size_t const index = slots_.claim();
  if (index == worker_slots::none) {
    throw raise(rb_eThreadError, "kino: all " + std::to_string(slots_.size()) +
                                     " worker slots are taken; choose more slots");
  }
  crew_member& self = members_[index];
  {
    lock guard(self.tenancy_);
    self.generation_ = slots_.view_of(index).workers;
  }
  std::uint32_t seen = attendance_.load(std::memory_order_relaxed);  // the exchange decides
  while (!attendance_.compare_exchange_weak(seen, (seen + 1) | attended,
                                            std::memory_order_seq_cst)) {}
  if (permits_in_use_) take_seat(self.seat_);
  self.thread_.store(thread, std::memory_order_relaxed);
  memberships::of_this_thread().add(self);
  return self;
}

inline void crew::leave(gvl const&, crew_member& self) noexcept {
  if (self.thread_.load(std::memory_order_relaxed) != rb_thread_current()) return;
  memberships::of_this_thread().remove(self);
  if (permits_in_use_) leave_seat();
  if (born_.forked()) return;  // what the parent's threads had locked stays locked
  free_place(self);
}

inline void crew::free_place(crew_member& member) noexcept {
  for (weak_responder const& request : member.in_flight_.take()) request.abandon();
  member.in_flight_.clear();
  permits_.release(member.permit());
  member.thread_.store(0, std::memory_order_relaxed);
  slots_.vacate(member.index_);
  if (attendance_.fetch_sub(1, std::memory_order_seq_cst) == (attended | 1)) last_left_();
}

// On the native thread, with or without a Ruby one: it must not touch Ruby.
inline void memberships::end(crew_member& member) noexcept {
  of_this_thread().remove(member);
  crew& joined = *member.of_;
  if (joined.permits_in_use_) leave_seat();
  joined.free_place(member);
}

inline std::size_t crew::abandon(worker_id who) noexcept {
  if (who.index >= slots_.size() || born_.forked()) return 0;
  crew_member& member = members_[who.index];
  std::array<weak_responder, in_flight::limit> requests;
  {
    lock guard(member.tenancy_);
    if (member.generation_ != who.generation) return 0;
    requests = member.in_flight_.take();
  }
  // Without the lock: what is delivered may come back here.
  std::size_t ended = 0;
  for (weak_responder const& request : requests) ended += request.abandon();
  return ended;
}

inline void crew::wait_for_turn(gvl const& held, crew_member& self) {
  run_permits::permit& permit = self.permit();
  auto result = run_permits::waited::interrupted;
  deadline const look = next_look(std::nullopt);
  auto work = [&]() noexcept { result = permits_.wait(permit, look); };
  auto unblock = [&]() noexcept { permit.interrupt(); };
  permit.clear_interruption();
  // What Thread.handle_interrupt lets through only `:on_blocking` may have come long before.
  held.check_interrupts();
  bool const waited = try_without_gvl(held, work, unblock);
  if (!permits_in_use_) self.has_gvl_since_ = std::chrono::steady_clock::now();
  using waits = run_permits::waited;
  if (waited && (result == waits::granted || result == waits::stopped)) return;
  // What interrupts may run for long, and may not come back: others need the permit more.
  if (!waited) permits_.release(permit);
  held.check_interrupts();
}

inline void crew::share_gvl(gvl const& held, crew_member& self) {
  if (permits_in_use_) return;
  using clock = std::chrono::steady_clock;
  if (clock::now() - self.has_gvl_since_ < slice_) return;
  protect(held, [] { rb_thread_schedule(); });
  self.has_gvl_since_ = clock::now();
}

}  // namespace detail
KINO_NAMESPACE_END
