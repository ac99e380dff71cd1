// SPDX-License-Identifier: MIT
//
// dispatcher<Request>: requests from native threads to the Ruby workers of many Ractors.

#pragma once

#include <kino/channel.hpp>
#include <kino/detail/ruby/crew.hpp>
#include <kino/gvl.hpp>
#include <kino/responder.hpp>
#include <kino/run_permits.hpp>
#include <kino/wait.hpp>
#include <kino/worker_slots.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <type_traits>
#include <utility>

KINO_NAMESPACE_BEGIN

/// What a dispatcher carries: a movable value with a responder named `reply`. One that is sent
/// with an empty `reply` is a one-way message: a worker takes it like any other.
template <class Request>
concept dispatchable =
    std::is_default_constructible_v<Request> && std::is_nothrow_move_constructible_v<Request> &&
    std::is_nothrow_move_assignable_v<Request> && requires(Request const& request) {
      { request.reply.weak() } -> std::same_as<weak_responder>;
      { request.reply.ended() } -> std::same_as<bool>;
      static_cast<bool>(request.reply);
    };

/// What became of a `take`.
enum class [[nodiscard]] take_result {
  taken,   ///< There is a request.
  closed,  ///< Closed and drained: the worker may leave.
};

/// Says that `close` abandons what is queued.
struct discard_queued_t {};
/// The one value of that type: `requests.close(kino::discard_queued)`.
inline constexpr discard_queued_t discard_queued{};

/// A dispatcher hands requests from native threads to Ruby workers, and cleans up after them.
///
/// Native threads `submit`; the queue is bounded, so a full one is told at once. A worker is a
/// Ruby thread, usually one per Ractor: it joins, takes requests until the dispatcher is closed,
/// and leaves. As many workers run handlers as there are CPUs (run_permits.hpp): one that
/// blocks lends its place to the next, so one setting serves fast, computing and waiting
/// handlers. On Rubies without thread events (3.1) all may run, and only waking is throttled;
/// threads that share a GVL take turns between two requests, a slice each.
///
/// What a worker took and did not answer when it leaves, or when `abandon` is told that it is
/// gone, is answered `abandoned` at once, whoever still holds the request. A request that has
/// ended while it was queued is dropped without reaching a worker; so is one whose pending_answer
/// was dropped.
///
/// Every request ends: what is queued when no worker will take it is abandoned. That is so when a
/// dispatcher without workers is closed, when the last worker of a closed one leaves, and after
/// `close(discard_queued)`. While it is open, requests wait for the next worker to join, unless
/// `refuse_without_workers` was chosen.
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
/// Fork:       a child cannot use its parent's dispatcher: what submits, joins or takes throws
///             std::runtime_error, which is RuntimeError in Ruby; `close` and `leave` do nothing.
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
    /// When the last worker has left, what is queued is abandoned and `try_submit` returns
    /// `no_workers` until another one joins. Requests before the first worker are queued.
    bool refuse_without_workers = false;
    /// How long one worker computes while others wait. At least 1 ms with `permits`; without,
    /// 0 passes the GVL on after every request.
    std::chrono::milliseconds slice{10};
  };

  /// Requests that one worker may have at a time.
  static constexpr std::size_t batch_limit = detail::in_flight::limit;

  /// A worker is one joined Ruby thread; its `index()` is its place, below `options::slots`, and its
  /// `id()` what supervision calls it by.
  using worker = detail::crew_member;

  /// Throws std::invalid_argument for an option out of its range, std::system_error.
  explicit dispatcher(gvl const& held, options chosen = {});
  dispatcher(dispatcher const&) = delete;
  dispatcher& operator=(dispatcher const&) = delete;
  /// Every worker must have left.
  ~dispatcher() = default;

  // --- native threads ---

  /// Queues `request` if there is room. `pushed`, `full`, `closed` or `no_workers`; moves only if
  /// pushed.
  push_result try_submit(Request&& request) {
    return submit_with([&] { return queue_.try_push(std::move(request)); });
  }
  /// Queues `request`, waiting for room at most `patience`. Not for threads with the GVL: they
  /// use kino::submit_for.
  template <class Rep, class Period>
  push_result submit(Request&& request, std::chrono::duration<Rep, Period> patience) {
    return submit_with([&] { return queue_.push_for(std::move(request), patience); });
  }

  /// For kino::submit.
  push_result submit_until(gvl const& held, Request&& request, detail::deadline until) {
    return submit_with(
        [&] { return detail::push_until(held, queue_, std::move(request), until); });
  }

  // --- workers ---

  /// Makes the calling thread a worker and pins it where Ruby can. Raises ThreadError if every
  /// slot is taken.
  [[nodiscard]] worker& join(gvl const& held) { return crew_.join(held); }
  /// Ends what the worker has in flight as abandoned and frees its slot. Never raises; call it
  /// in an ensure clause of the same thread.
  void leave(gvl const& held, worker& self) noexcept { crew_.leave(held, self); }

  /// Waits for a request and moves it into `out`. What was taken before counts as finished.
  ///
  ///  1. Takes what is ready, without giving the GVL up, if the worker may run. (Without permits,
  ///     after a slice, others of its Ractor get the GVL first.)
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
  /// `handle` runs inside kino::protect: what it calls in Ruby may raise, which abandons the
  /// request, leaves, and goes on as ruby_error; `handle` itself then runs no destructors.
  /// Calls `joined()` before the first: whoever creates the next worker's Ractor waits for that.
  template <class Handler, class Joined>
  void serve(gvl const& held, Handler handle, Joined joined);
  /// The same for whoever need not know when it has joined.
  template <class Handler>
  void serve(gvl const& held, Handler handle) {
    serve(held, std::move(handle), [] {});
  }

  // --- supervision, any thread ---

  /// Refuses further requests; workers drain what is queued, then `take` returns `closed`. What is
  /// queued is abandoned if there is no worker, or as soon as the last one leaves.
  void close();
  /// Refuses further requests and ends those that are queued as abandoned; returns how many that
  /// were. What workers have taken goes on.
  std::size_t close(discard_queued_t);
  /// Ends what worker `who` has in flight as abandoned; returns how many requests that were, 0 if
  /// it has left. `slots()` and `worker::id` name workers.
  std::size_t abandon(worker_id who) noexcept { return crew_.abandon(who); }
  /// Marks worker `who` as stuck, or takes the mark away; returns false if it has left.
  bool quarantine(worker_id who, bool on) { return crew_.quarantine(who, on); }

  /// The worker of place `index`, joined or not.
  [[nodiscard]] worker& worker_at(std::size_t index) { return crew_[index]; }
  /// The figures of every worker.
  [[nodiscard]] worker_slots const& slots() const { return crew_.slots(); }
  /// Who computes, for figures.
  [[nodiscard]] run_permits const& permits() const { return crew_.permits(); }
  /// Requests that no worker has taken yet; already old when it arrives.
  [[nodiscard]] std::size_t queued() const { return queue_.size(); }
  /// Requests queued at most.
  [[nodiscard]] std::size_t capacity() const { return queue_.capacity(); }
  /// Whether `close` was called.
  [[nodiscard]] bool closed() const { return queue_.closed(); }
  /// Whether permits are in use: chosen, and this Ruby has the events.
  [[nodiscard]] bool permits_in_use() const { return crew_.permits_in_use(); }
  /// How many requests had ended before a worker took them.
  [[nodiscard]] std::uint64_t dropped() const {
    return dropped_.load(std::memory_order_relaxed);  // pairs with nothing: a statistic
  }

private:
  static options checked(options chosen);
  template <class Push>
  push_result submit_with(Push push);
  void stop_if_drained() {
    if (queue_.drained()) crew_.stop();
  }
  // Whether no worker will take what is queued. seq_cst throughout: it is asked after a request was
  // published, and after what makes it true; one of the two sees the other and discards.
  [[nodiscard]] bool unattended() const {
    if (discarding_.load(std::memory_order_seq_cst)) return true;
    return queue_.closed() ? crew_.empty() : refuse_without_workers_ && crew_.deserted();
  }
  std::size_t discard_if_unattended() noexcept;

  bool const refuse_without_workers_;
  channel<Request> queue_;
  detail::atomic<bool> discarding_{false};
  detail::crew crew_;
  detail::atomic<std::uint64_t> dropped_{0};
};

/// submit queues `request` in `to`, waiting for room with the GVL released, with the steps of `push`
/// (wait.hpp). Returns `pushed` or `closed`; moves only if pushed.
template <dispatchable Request>
push_result submit(gvl const& held, dispatcher<Request>& to, Request&& request) {
  return to.submit_until(held, std::move(request), std::nullopt);
}
/// submit_for is `submit` for at most `patience`; returns `timed_out` as well.
template <dispatchable Request, class Rep, class Period>
push_result submit_for(gvl const& held, dispatcher<Request>& to, Request&& request,
                       std::chrono::duration<Rep, Period> patience) {
  return to.submit_until(held, std::move(request), detail::deadline_after(patience));
}

// --- implementation ---------------------------------------------------------

template <dispatchable Request>
typename dispatcher<Request>::options dispatcher<Request>::checked(options chosen) {
  if (chosen.slots == 0) throw std::invalid_argument("kino: a dispatcher needs at least one slot");
  // Said on every Ruby, also on one without permits.
  if (chosen.permits && chosen.slice < std::chrono::milliseconds{1}) {
    throw std::invalid_argument("kino: a dispatcher with permits needs a slice of at least 1 ms");
  }
  return chosen;
}

template <dispatchable Request>
dispatcher<Request>::dispatcher(gvl const&, options chosen)
    : refuse_without_workers_(chosen.refuse_without_workers),
      queue_(checked(chosen).capacity),
      crew_(chosen.permits,
            {.workers = chosen.slots, .concurrency = chosen.concurrency, .slice = chosen.slice},
            [this] { return queue_.size() != 0; },
            [this] { discard_if_unattended(); }) {}

template <dispatchable Request>
void dispatcher<Request>::close() {
  if (crew_.forked()) return;
  queue_.close();
  discard_if_unattended();
  stop_if_drained();
}

template <dispatchable Request>
std::size_t dispatcher<Request>::close(discard_queued_t) {
  if (crew_.forked()) return 0;
  discarding_.store(true, std::memory_order_seq_cst);  // as in unattended
  queue_.close();
  return discard_if_unattended();
}

template <dispatchable Request>
std::size_t dispatcher<Request>::discard_if_unattended() noexcept {
  std::size_t discarded = 0;
  Request request;
  // Asked again for each: a worker may have joined.
  while (unattended() && queue_.try_pop(request) == pop_result::popped) {
    // A one-way message has no client; it is discarded as well.
    discarded += !request.reply || request.reply.weak().abandon();
    request = Request();
  }
  stop_if_drained();
  return discarded;
}

template <dispatchable Request>
template <class Push>
push_result dispatcher<Request>::submit_with(Push push) {
  crew_.check_process();
  try {
    if (refuse_without_workers_ && crew_.deserted() && !closed()) return push_result::no_workers;
    push_result const result = push();
    if (result == push_result::pushed) {
      crew_.work_arrived();
      if (unattended()) discard_if_unattended();
    }
    return result;
  } catch (...) {
    stop_if_drained();  // `close` may have waited for what was not pushed in the end.
    throw;
  }
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
  count = 0;
  crew_.check_process();
  crew_.finish(self);
  crew_.share_gvl(held, self);
  most = most < batch_limit ? most : batch_limit;
  for (;;) {
    bool const may_run = crew_.may_run(self);
    // Drained is drained for everybody, permit or not.
    if (!may_run && !queue_.drained()) {
      crew_.wait_for_turn(held, self);
      continue;
    }
    while (count < most) {
      pop_result const popped = queue_.try_pop(*out);
      if (popped == pop_result::closed && count == 0) {
        crew_.retire(self);
        crew_.stop();
        return take_result::closed;
      }
      if (popped != pop_result::popped) break;
      if (out->reply && out->reply.ended()) {
        dropped_.fetch_add(1, std::memory_order_relaxed);  // pairs with nothing: a statistic
        *out = Request();
        continue;
      }
      crew_.took(self, out->reply.weak());
      ++count;
      ++out;
    }
    if (count != 0) {
      crew_.begin(self);
      stop_if_drained();
      return take_result::taken;
    }
    crew_.wait_for_turn(held, self);
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
  protect(held, [&] { joined(); });
  Request request;
  while (take(held, here.self, request) == take_result::taken) {
    protect(held, [&] { handle(request); });
    request = Request();  // If nobody keeps it, its client learns now, not with the next one.
  }
}

KINO_NAMESPACE_END
