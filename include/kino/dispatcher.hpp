// SPDX-License-Identifier: MIT
//
// dispatcher<Request>: hands requests from native threads to Ruby workers in many Ractors.

#pragma once

#include <kino/channel.hpp>
#include <kino/detail/ruby/dispatch_core.hpp>
#include <kino/gvl.hpp>
#include <kino/responder.hpp>
#include <kino/run_permits.hpp>
#include <kino/wait.hpp>
#include <kino/worker_slots.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

KINO_NAMESPACE_BEGIN

/// A request: a movable, default constructible value with a responder named `reply`. A request with
/// an empty `reply` is a one-way message; workers take it like any other.
template <class Request>
concept dispatchable =
    std::is_nothrow_move_constructible_v<Request> && std::is_nothrow_move_assignable_v<Request> &&
    requires(Request const& request) {
      { request.reply.weak() } -> std::same_as<weak_responder>;
      { request.reply.ended() } -> std::same_as<bool>;
      static_cast<bool>(request.reply);
    };

/// The outcome of a `take`.
enum class [[nodiscard]] take_result {
  taken,      ///< A request was taken.
  closed,     ///< Closed and drained: the worker may leave.
  dismissed,  ///< The worker was dismissed: it must leave; others take the requests.
};

/// Tag type: `close` abandons the queued requests.
struct discard_queued_t {};
/// The tag: `requests.close(kino::discard_queued)`.
inline constexpr discard_queued_t discard_queued{};

/// A dispatcher hands requests from native threads to Ruby workers, and cleans up after them.
///
/// Native threads `submit`. The queue is bounded; a full queue is reported immediately. A worker
/// is a Ruby thread, usually one per Ractor: it joins, takes requests until the dispatcher is
/// closed, and leaves. At most as many workers run handlers as there are CPUs (run_permits.hpp). A
/// blocked worker gives up its permit to another, so one configuration serves fast, CPU-bound and
/// blocking handlers. On Rubies without thread events (3.1), all workers may run, and only waking
/// is throttled; threads that share a GVL then switch between requests, after a slice each.
///
/// Requests that a worker has taken but not answered when it leaves, or when `abandon` reports it
/// as gone, are answered `abandoned` immediately, even if another object still holds them. A
/// request that has ended while it was queued is dropped without reaching a worker; so is one
/// whose receiver was dropped.
///
/// Every request ends: queued requests that no worker will take are abandoned. This happens when a
/// dispatcher without workers is closed, when the last worker of a closed one leaves, and after
/// `close(discard_queued)`. While the dispatcher is open, requests wait for the next worker to
/// join, unless `refuse_without_workers` is set.
///
/// Create it on the main Ractor, before the Ractors of its workers. Start workers one by one:
/// create each Ractor after the previous one has joined. (On Ruby 3.4 and 4.0, pinning the only
/// shared native thread while others wait to start can hang.)
///
/// Threads:    any, for `submit`, `try_submit`, `close`, `abandon`, `dismiss` and the observers; the Ruby
///             thread that joined, for a worker's members.
/// GVL:        needed by functions that take `held`; `take` releases it only to wait.
/// Blocks:     `take` and `take_batch`, until there is work and a permit; `submit`.
/// Interrupts: end a `take` with ruby_error; no taken request is lost.
/// Throws:     see each member; std::bad_alloc.
/// Order:      FIFO per submitting thread; workers take from all these threads in turn.
/// Fork:       a child cannot use its parent's dispatcher: submitting, joining and taking throw
///             std::runtime_error (RuntimeError in Ruby); `close` and `leave` do nothing.
///
/// Example (needs Ruby): samples/hello_ractor.
///
template <dispatchable Request>
class dispatcher {
public:
  /// The options of a dispatcher.
  struct options {
    std::size_t capacity = 1024;     ///< Maximum number of queued requests.
    std::size_t slots = 64;          ///< Maximum number of workers at a time.
    std::uint32_t concurrency = 0;   ///< Maximum number of running handlers; 0: the usable CPUs.
    bool permits = true;             ///< False: every worker may run.
    /// After the last worker has left, queued requests are abandoned and `try_submit` returns
    /// `no_workers` until another worker joins. Requests before the first worker are queued.
    bool refuse_without_workers = false;
    /// How long a worker may run while others wait. At least 1 ms with `permits`; without them,
    /// 0 releases the GVL after every request.
    std::chrono::milliseconds slice{10};
  };

  /// Maximum number of requests that one worker may have at a time.
  static constexpr std::size_t batch_limit = detail::in_flight::limit;

  /// A joined Ruby thread. `index()` is its slot, below `options::slots`; `id()` identifies it in
  /// the supervision functions.
  using worker = detail::pool_member;

  /// Throws std::invalid_argument for an option out of range, and std::system_error.
  explicit dispatcher(gvl const&, options chosen = {})
      : core_(chosen.capacity, chosen.permits, chosen.refuse_without_workers,
              {.workers = chosen.slots, .concurrency = chosen.concurrency, .slice = chosen.slice}) {}
  dispatcher(dispatcher const&) = delete;
  dispatcher& operator=(dispatcher const&) = delete;
  /// Every worker must have left.
  ~dispatcher() = default;

  // --- native threads ---

  /// Queues `request` if there is room. `pushed`, `full`, `closed` or `no_workers`; moves only if
  /// pushed.
  push_result try_submit(Request&& request) {
    return core_.submit([&](auto& to) { return to.try_push(std::move(request)); });
  }
  /// Queues `request`, waiting for room at most `patience`. A thread that holds the GVL must use
  /// kino::submit_for instead.
  template <class Rep, class Period>
  push_result submit(Request&& request, std::chrono::duration<Rep, Period> patience) {
    return core_.submit([&](auto& to) { return to.push_for(std::move(request), patience); });
  }

  /// For kino::submit.
  push_result submit_until(gvl const& held, Request&& request, detail::deadline until) {
    return core_.submit(
        [&](auto& to) { return detail::push_until(held, to, std::move(request), until); });
  }

  // --- workers ---

  /// Makes the calling thread a worker and, where Ruby supports it, pins it to its native thread.
  /// Raises ThreadError if every slot is taken. A thread that ends without `leave` leaves (on Ruby
  /// 3.1, within seconds).
  [[nodiscard]] worker& join(gvl const& held) { return core_.pool().join(held); }
  /// Abandons the worker's requests in flight and frees its slot. Never raises; call it in an
  /// ensure clause of the same thread.
  void leave(gvl const& held, worker& self) noexcept { core_.pool().leave(held, self); }

  /// Waits for a request and moves it into `out`. Requests taken before count as finished.
  ///
  ///  1. If the worker may run, takes an available request without releasing the GVL. (Without
  ///     permits, after a slice, other threads of its Ractor get the GVL first.)
  ///  2. Otherwise releases the GVL and the permit, and sleeps until it is this worker's turn, the
  ///     dispatcher is closed and drained, the worker is dismissed, or Ruby interrupts.
  ///  3. Reacquires the GVL.
  ///  4. Runs a pending interrupt; throws ruby_error if it raises or unwinds. Otherwise continues
  ///     with 1.
  take_result take(gvl const& held, worker& self, Request& out) {
    std::size_t count = 0;
    return take_batch(held, self, &out, 1, count);
  }

  /// Takes at least one and up to `most` requests (limited to batch_limit); waits only for the
  /// first. Sets `count`.
  template <class Output>
  take_result take_batch(gvl const& held, worker& self, Output out, std::size_t most,
                         std::size_t& count) {
    bool const taken = core_.take(held, self, out, std::min(most, batch_limit), count);
    if (taken) return take_result::taken;
    return core_.pool().dismissed(self) ? take_result::dismissed : take_result::closed;
  }

  /// Answers `current` with `answer` and replaces it with the next request: one crossing of the
  /// language boundary per request.
  template <class Answer>
  take_result answer_and_take(gvl const& held, worker& self, Request& current,
                              Answer&& answer) {
    current.reply.answer(std::forward<Answer>(answer));
    return take(held, self, current);
  }

  /// Joins, calls `handle(request)` for every request until the dispatcher is closed or the worker is dismissed, and
  /// leaves.
  ///
  /// If `handle` or an interrupt throws, `serve` leaves and propagates the exception. A request
  /// that `handle` neither answers nor keeps is abandoned when `handle` returns.
  ///
  /// `handle` runs inside kino::protect. Ruby code that it calls may raise: then the request is
  /// abandoned, `serve` leaves, and the exception propagates as ruby_error. In that case `handle`
  /// itself runs no destructors.
  ///
  /// Calls `joined()` before the first request; the thread that creates the next worker's Ractor
  /// waits for that.
  template <class Handler, class Joined>
  void serve(gvl const& held, Handler handle, Joined joined);
  /// `serve` without a `joined` callback.
  template <class Handler>
  void serve(gvl const& held, Handler handle) {
    serve(held, std::move(handle), [] {});
  }

  // --- supervision, any thread ---

  /// Refuses further requests. Workers drain the queue, then `take` returns `closed`. Queued
  /// requests are abandoned if there is no worker, or as soon as the last one leaves.
  void close() { core_.close(false); }
  /// Refuses further requests and abandons the queued ones; returns how many. Requests that
  /// workers have taken are not affected.
  std::size_t close(discard_queued_t) { return core_.close(true); }
  /// Abandons the requests in flight of worker `who`; returns how many, 0 if it has left. `slots()`
  /// and `worker::id` provide ids.
  std::size_t abandon(worker_id who) noexcept { return core_.pool().abandon(who); }
  /// Lets worker `who` end between two requests: its next `take` returns `dismissed`, and so does one that waits. The
  /// requests that it has are not affected. Returns false if it has left.
  bool dismiss(worker_id who) noexcept { return core_.pool().dismiss(who); }
  /// Marks worker `who` as stuck, or removes the mark; returns false if it has left.
  bool quarantine(worker_id who, bool on) { return core_.pool().quarantine(who, on); }

  /// The worker of slot `index`, joined or not.
  [[nodiscard]] worker& worker_at(std::size_t index) { return core_.pool()[index]; }
  /// Statistics of every worker.
  [[nodiscard]] worker_slots const& slots() const { return core_.pool().slots(); }
  /// The permits, for statistics.
  [[nodiscard]] run_permits const& permits() const { return core_.pool().permits(); }
  /// Number of requests that no worker has taken yet; may be stale on return.
  [[nodiscard]] std::size_t queued() const { return core_.queue().channel().size(); }
  /// Maximum number of queued requests.
  [[nodiscard]] std::size_t capacity() const { return core_.queue().channel().capacity(); }
  /// Whether `close` was called.
  [[nodiscard]] bool closed() const { return core_.closed(); }
  /// Whether permits are in use: enabled, and supported by this Ruby.
  [[nodiscard]] bool permits_in_use() const { return core_.pool().permits_in_use(); }
  /// Number of requests that had ended before a worker took them.
  [[nodiscard]] std::uint64_t dropped() const { return core_.queue().dropped(); }

private:
  detail::dispatch_core<Request> core_;
};

/// submit queues `request` in `to` and waits for room with the GVL released; its steps are those of
/// `push` (wait.hpp). Returns `pushed` or `closed`; moves only if pushed.
template <dispatchable Request>
push_result submit(gvl const& held, dispatcher<Request>& to, Request&& request) {
  return to.submit_until(held, std::move(request), std::nullopt);
}
/// submit_for is `submit` with a timeout; it may also return `timed_out`.
template <dispatchable Request, class Rep, class Period>
push_result submit_for(gvl const& held, dispatcher<Request>& to, Request&& request,
                       std::chrono::duration<Rep, Period> patience) {
  return to.submit_until(held, std::move(request), detail::deadline_after(patience));
}

// --- implementation ---------------------------------------------------------

template <dispatchable Request>
template <class Handler, class Joined>
void dispatcher<Request>::serve(gvl const& held, Handler handle, Joined joined) {
  struct membership {
    gvl const& held;
    dispatcher& joined;
    worker& self;
    ~membership() { joined.leave(held, self); }
  } const here{held, *this, join(held)};
  protect(held, [&] { joined(); });
  VALUE const error = rb_errinfo();
  Request request;
  while (take(held, here.self, request) == take_result::taken) {
    detail::protect_unchecked([&] { handle(request); });  // `take` has checked
    detail::expect_nothing_swallowed(error);
    request = Request();  // Unless it was kept, its client is notified now, not with the next one.
  }
}

KINO_NAMESPACE_END
