// SPDX-License-Identifier: MIT
//
// dispatcher<Request>: requests from native threads to the Ruby workers of many Ractors.

#pragma once

#include <kino/channel.hpp>
#include <kino/detail/boundary.hpp>
#include <kino/detail/fork.hpp>
#include <kino/detail/in_flight.hpp>
#include <kino/detail/thread_events.hpp>
#include <kino/detail/usable_cpus.hpp>
#include <kino/gvl.hpp>
#include <kino/responder.hpp>
#include <kino/run_permits.hpp>
#include <kino/worker_slots.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

KINO_NAMESPACE_BEGIN

/// What a dispatcher carries: a movable value with a responder named `reply`.
template <class Request>
concept dispatchable =
    std::is_default_constructible_v<Request> && std::is_nothrow_move_constructible_v<Request> &&
    std::is_nothrow_move_assignable_v<Request> && requires(Request const& request) {
      { request.reply.weak() } -> std::same_as<weak_responder>;
      { request.reply.ended() } -> std::same_as<bool>;
    };

/// What became of a `take`.
enum class [[nodiscard]] take_result {
  taken,   ///< There is a request.
  closed,  ///< Closed and drained: the worker may leave.
};

/// A dispatcher hands requests from native threads to Ruby workers, and cleans up after them.
///
/// Native threads `submit`; the queue is bounded, so a full one is told at once. A worker is a
/// Ruby thread, usually one per Ractor: it joins, takes requests until the dispatcher is closed,
/// and leaves. As many workers run handlers as there are CPUs (run_permits.hpp): one that
/// blocks lends its place to the next, so one setting serves fast, computing and waiting
/// handlers. On Rubies without thread events (3.1) all may run, and only waking is throttled.
///
/// What a worker took and did not answer when it leaves, or when `abandon` is told that it is
/// gone, is answered `abandoned` at once, whoever still holds the request. A request that has
/// ended while it was queued is dropped without reaching a worker.
///
/// Build it on the main Ractor, before the Ractors of its workers. Workers start one by one:
/// create each Ractor after the one before has joined (on Ruby 3.4 and 4.0, pinning the only
/// shared native thread while others wait to be started can hang).
///
/// Threads:    `submit`, `try_submit`, `close`, `abandon` and the observers by any thread; a
///             worker's members by the Ruby thread that joined.
/// GVL:        needed where `held` is asked for; `take` gives it up only to wait.
/// Blocks:     `take` and `take_batch`, until there is work and a permit; `submit`.
/// Interrupts: end a `take` with ruby_error; nothing that was taken is lost.
/// Throws:     see each member; std::bad_alloc.
/// Order:      FIFO per submitting thread.
/// Fork:       a child cannot use its parent's dispatcher: worker members raise RuntimeError.
///
/// Example (needs Ruby): samples/hello_ractor.
///
template <dispatchable Request>
class dispatcher {
public:
  /// What a dispatcher is made with.
  struct options {
    std::size_t capacity = 1024;     ///< Requests queued at most.
    std::size_t slots = 64;          ///< Workers at a time at most.
    std::uint32_t concurrency = 0;   ///< Handlers that compute at once; 0: the usable CPUs.
    bool permits = true;             ///< Off: every worker may run, no thread events are heard.
    std::chrono::milliseconds slice{10};  ///< How long one computes while others wait.
  };

  /// Requests that one worker may have at a time.
  static constexpr std::size_t batch_limit = detail::in_flight::limit;

  /// A worker is one joined Ruby thread.
  class worker {
  public:
    /// Its place, below `options::slots`: what supervision calls it by.
    [[nodiscard]] std::size_t index() const { return index_; }

  private:
    friend dispatcher;
    std::size_t index_ = 0;
    detail::seat seat_;
    detail::in_flight in_flight_;
  };

  /// Throws std::invalid_argument for a capacity or slots of 0, std::system_error.
  explicit dispatcher(gvl const& held, options chosen = {});
  dispatcher(dispatcher const&) = delete;
  dispatcher& operator=(dispatcher const&) = delete;
  /// Every worker must have left.
  ~dispatcher() = default;

  // --- native threads ---

  /// Queues `request` if there is room. `pushed`, `full` or `closed`; moves only if pushed.
  push_result try_submit(Request&& request) {
    return submit_with([&] { return queue_.try_push(std::move(request)); });
  }
  /// Queues `request`, waiting for room at most `patience`. Not for threads with the GVL.
  template <class Rep, class Period>
  push_result submit(Request&& request, std::chrono::duration<Rep, Period> patience) {
    return submit_with([&] { return queue_.push_for(std::move(request), patience); });
  }

  // --- workers ---

  /// Makes the calling thread a worker and pins it where Ruby can. Raises ThreadError if every
  /// slot is taken.
  [[nodiscard]] worker& join(gvl const& held);
  /// Ends what the worker has in flight as abandoned and frees its slot. Never raises; call it
  /// in an ensure clause of the same thread.
  void leave(gvl const& held, worker& self) noexcept;

  /// Waits for a request and moves it into `out`. What was taken before counts as finished.
  ///
  ///  1. Takes what is ready, without giving the GVL up, if the worker may run.
  ///  2. Otherwise releases the GVL, and the permit with it, and sleeps until it is this
  ///     worker's turn, the dispatcher is closed and drained, or Ruby interrupts.
  ///  3. Takes the GVL again.
  ///  4. On an interrupt, runs it; throws ruby_error if it leaves. Else goes on with 1.
  take_result take(gvl const& held, worker& self, Request& out);

  /// Takes at least one and up to `most` requests (at most batch_limit), without waiting for
  /// more than the first; sets `count`.
  template <class Output>
  take_result take_batch(gvl const& held, worker& self, Output out, std::size_t most,
                         std::size_t& count);

  /// Answers `current` with `answer` and takes the next request into its place: one crossing
  /// per request.
  template <class Answer>
  take_result answer_and_take(gvl const& held, worker& self, Request& current,
                              Answer&& answer) {
    current.reply.answer(std::forward<Answer>(answer));
    return take(held, self, current);
  }

  /// Joins, calls `handle(request)` for every request until the dispatcher is closed, and leaves,
  /// also when `handle` or an interrupt throws; the exception goes on to the caller then. A
  /// request that `handle` neither answers nor keeps is abandoned when it returns.
  /// Calls `joined()` before the first: whoever creates the next worker's Ractor waits for that.
  template <class Handler, class Joined>
  void serve(gvl const& held, Handler handle, Joined joined);
  /// The same for whoever need not know when it has joined.
  template <class Handler>
  void serve(gvl const& held, Handler handle) {
    serve(held, std::move(handle), [] {});
  }

  // --- supervision, any thread ---

  /// Refuses further requests; workers drain what is queued, then `take` returns `closed`.
  void close() {
    queue_.close();
    stop_if_drained();
  }
  /// Ends what worker `index` has in flight as abandoned; returns how many requests that were.
  std::size_t abandon(std::size_t index) noexcept {
    return workers_[index].in_flight_.abandon();
  }
  /// Marks worker `index` as stuck, or takes the mark away.
  void quarantine(std::size_t index, bool on) { slots_.quarantine(index, on); }

  /// The worker of place `index`, joined or not.
  [[nodiscard]] worker& worker_at(std::size_t index) { return workers_[index]; }
  /// The figures of every worker.
  [[nodiscard]] worker_slots const& slots() const { return slots_; }
  /// Who computes, for figures.
  [[nodiscard]] run_permits const& permits() const { return permits_; }
  /// Requests that no worker has taken yet; already old when it arrives.
  [[nodiscard]] std::size_t queued() const { return queue_.size(); }
  /// Requests queued at most.
  [[nodiscard]] std::size_t capacity() const { return queue_.capacity(); }
  /// Whether `close` was called.
  [[nodiscard]] bool closed() const { return queue_.closed(); }
  /// Whether permits are in use: chosen, and this Ruby has the events.
  [[nodiscard]] bool permits_in_use() const { return permits_in_use_; }
  /// How many requests had ended before a worker took them.
  [[nodiscard]] std::uint64_t dropped() const {
    return dropped_.load(std::memory_order_relaxed);  // pairs with nothing: a statistic
  }

private:
  static options checked(options chosen);
  void check_process() const {
    if (born_.forked()) {
      throw raise(rb_eRuntimeError,
                  "kino: this dispatcher was made before fork; make one in the child");
    }
  }
  template <class Push>
  push_result submit_with(Push push);
  void stop_if_drained() {
    if (queue_.drained()) permits_.stop();
  }
  void finish(worker& self) noexcept {
    for (std::size_t taken = self.in_flight_.clear(); taken > 0; --taken) {
      slots_.finished(self.index_);
    }
  }
  void wait_for_turn(gvl const& held, worker& self);

  bool const permits_in_use_;
  channel<Request> queue_;
  worker_slots slots_;
  std::unique_ptr<worker[]> const workers_;
  run_permits permits_;
  detail::atomic<std::uint64_t> dropped_{0};
  detail::fork_mark const born_;
};

// --- implementation ---------------------------------------------------------

template <dispatchable Request>
typename dispatcher<Request>::options dispatcher<Request>::checked(options chosen) {
  if (chosen.slots == 0) throw std::invalid_argument("kino: a dispatcher needs a slot");
  return chosen;
}

template <dispatchable Request>
dispatcher<Request>::dispatcher(gvl const&, options chosen)
    : permits_in_use_(chosen.permits && detail::ruby_has_thread_events),
      queue_(checked(chosen).capacity),
      slots_(chosen.slots),
      workers_(std::make_unique<worker[]>(chosen.slots)),
      permits_({.workers = chosen.slots,
                .concurrency = !permits_in_use_     ? 0
                               : chosen.concurrency ? chosen.concurrency
                                                    : detail::usable_cpus(),
                .slice = chosen.slice},
               [this] { return queue_.size() != 0; }) {
  if (permits_in_use_) detail::hear_thread_events();
  for (std::size_t i = 0; i < chosen.slots; ++i) {
    workers_[i].index_ = i;
    workers_[i].seat_ = {&permits_, &permits_[i]};
  }
}

template <dispatchable Request>
template <class Push>
push_result dispatcher<Request>::submit_with(Push push) try {
  push_result const result = push();
  if (result == push_result::pushed) permits_.work_arrived();
  return result;
} catch (...) {
  stop_if_drained();  // `close` may have waited for what was not pushed in the end.
  throw;
}

template <dispatchable Request>
typename dispatcher<Request>::worker& dispatcher<Request>::join(gvl const&) {
  check_process();
  std::size_t const index = slots_.claim();
  if (index == worker_slots::none) {
    throw raise(rb_eThreadError, "kino: all " + std::to_string(slots_.size()) +
                                     " worker slots are taken; choose more slots");
  }
  worker& self = workers_[index];
  detail::pin_thread();
  if (permits_in_use_) detail::take_seat(self.seat_);
  return self;
}

template <dispatchable Request>
void dispatcher<Request>::leave(gvl const&, worker& self) noexcept {
  if (permits_in_use_) detail::leave_seat();
  self.in_flight_.abandon();
  self.in_flight_.clear();
  permits_.release(*self.seat_.permit);
  slots_.vacate(self.index_);
}

template <dispatchable Request>
take_result dispatcher<Request>::take(gvl const& held, worker& self, Request& out) {
  std::size_t count = 0;
  return take_batch(held, self, &out, 1, count);
}

template <dispatchable Request>
template <class Output>
take_result dispatcher<Request>::take_batch(gvl const& held, worker& self, Output out,
                                            std::size_t most, std::size_t& count) {
  run_permits::permit& permit = *self.seat_.permit;
  count = 0;
  permits_.end(permit);
  finish(self);
  check_process();
  most = most < batch_limit ? most : batch_limit;
  for (;;) {
    bool const may_run = permits_.acquire(permit);
    // Drained is drained for everybody, permit or not.
    if (!may_run && !queue_.drained()) {
      wait_for_turn(held, self);
      continue;
    }
    while (count < most) {
      pop_result const popped = queue_.try_pop(*out);
      if (popped == pop_result::closed && count == 0) {
        permits_.release(permit);
        permits_.stop();
        return take_result::closed;
      }
      if (popped != pop_result::popped) break;
      if (out->reply.ended()) {
        dropped_.fetch_add(1, std::memory_order_relaxed);  // pairs with nothing: a statistic
        *out = Request();
        continue;
      }
      slots_.began(self.index_);
      self.in_flight_.add(out->reply.weak());
      ++count;
      ++out;
    }
    if (count != 0) {
      permits_.begin(permit);
      stop_if_drained();
      return take_result::taken;
    }
    wait_for_turn(held, self);
  }
}

template <dispatchable Request>
template <class Handler, class Joined>
void dispatcher<Request>::serve(gvl const& held, Handler handle, Joined joined) {
  struct membership {
    gvl const& held;
    dispatcher& joined;
    worker& self;
    ~membership() { joined.leave(held, self); }
  } const here{held, *this, join(held)};
  joined();
  Request request;
  while (take(held, here.self, request) == take_result::taken) {
    handle(request);
    request = Request();  // If nobody keeps it, its client learns now, not with the next one.
  }
}

template <dispatchable Request>
void dispatcher<Request>::wait_for_turn(gvl const& held, worker& self) {
  run_permits::permit& permit = *self.seat_.permit;
  auto result = run_permits::waited::interrupted;
  auto work = [&]() noexcept { result = permits_.wait(permit); };
  auto unblock = [&]() noexcept { permit.interrupt(); };
  permit.clear_interruption();
  // What Thread.handle_interrupt lets through only `:on_blocking` may have come long before.
  held.check_interrupts();
  bool const waited = detail::try_without_gvl(held, work, unblock);
  if (waited && result != run_permits::waited::interrupted) return;
  // What interrupts may run for long, and may not come back: others need the permit more.
  if (!waited) permits_.release(permit);
  held.check_interrupts();
}

KINO_NAMESPACE_END
