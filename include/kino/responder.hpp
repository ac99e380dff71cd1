// SPDX-License-Identifier: MIT
//
// responder<T>: the right to answer one request, once; and the ends it belongs to.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/detail/blocking.hpp>
#include <kino/detail/claim.hpp>
#include <kino/fork_mark.hpp>
#include <kino/outcome.hpp>
#include <kino/parker.hpp>

#include <chrono>
#include <optional>
#include <utility>

KINO_NAMESPACE_BEGIN

/// An answerable is the place where one answer arrives; derive from it to choose the place.
///
/// `delivered` is called exactly once, in the thread that made the claim, whatever thread that
/// is: it must not block, throw or touch Ruby. `released` is called when the last responder and
/// the last weak_responder are gone, and never before `delivered`; the object may then be
/// destroyed or, after `rearm`, used for another request. No allocation takes place.
template <class T>
class answerable : public detail::claim {
public:
  /// Receives the outcome.
  virtual void delivered(outcome<T>&& result) noexcept = 0;

private:
  void conclude(ending why) noexcept final { delivered(outcome<T>(why)); }
};

/// A weak_responder can end a request without an answer, and does not keep it open.
///
/// It is what a supervisor keeps: a crashed worker's requests are abandoned at once, although
/// the responder itself may lie in an object that the garbage collector frees much later.
///
/// Threads: distinct objects may be used by any thread; one object by one thread at a time.
class weak_responder {
public:
  weak_responder() = default;
  /// Takes it over; the other is empty.
  weak_responder(weak_responder&& other) noexcept
      : claim_(std::exchange(other.claim_, nullptr)) {}
  /// Releases the request it referred to and refers to the other's; the other is empty.
  weak_responder& operator=(weak_responder&& other) noexcept {
    weak_responder taken(std::move(other));
    std::swap(claim_, taken.claim_);
    return *this;
  }
  ~weak_responder() {
    if (claim_) claim_->drop_weak();
  }

  /// Ends the request as abandoned; returns whether this call was the one that ended it.
  bool abandon() const noexcept { return claim_ && claim_->end(ending::abandoned); }
  /// Ends the request as expired; returns whether this call was the one that ended it.
  bool expire() const noexcept { return claim_ && claim_->end(ending::expired); }
  /// Whether the request is over; false may be old when it arrives.
  [[nodiscard]] bool ended() const noexcept { return !claim_ || claim_->ended(); }
  /// Whether it belongs to a request at all.
  explicit operator bool() const noexcept { return claim_ != nullptr; }

  /// Gives up the claim and hands it to the caller, for an atomic that several threads empty.
  [[nodiscard]] detail::claim* release() noexcept { return std::exchange(claim_, nullptr); }
  /// Takes back what `release` gave.
  [[nodiscard]] static weak_responder adopt(detail::claim* claim) noexcept {
    return weak_responder(claim);
  }

private:
  template <class T>
  friend class responder;
  explicit weak_responder(detail::claim* claim) noexcept : claim_(claim) {}

  detail::claim* claim_ = nullptr;
};

/// A responder carries the right to answer one request; whoever claims first, answers.
///
/// Copies share the right: a worker, a timer and a shutdown may each hold one. The first
/// `answer`, `abandon` or `expire` wins; for all others it returns false, and a value stays
/// with its caller. Dropping the last responder unanswered delivers `abandoned`, so the asking
/// side never waits for nobody.
///
/// Threads:    distinct objects may be used by any thread at the same time; one object by one
///             thread at a time.
/// GVL:        never needed, never taken: safe in a free function of the garbage collector.
/// Blocks:     never.
/// Throws:     nothing.
/// Order:      what happened before the winning call is visible where the outcome arrives.
///
/// Example:
///
///     auto [answer, respond] = kino::make_response<int>();
///     assert(respond.answer(42));
///     assert(!respond.answer(43));
///     assert(answer.wait().value() == 42);
///
/// and the other outcome:
///
///     auto [answer, respond] = kino::make_response<int>();
///     { auto last = std::move(respond); }
///     assert(answer.wait().kind() == kino::ending::abandoned);
///
template <class T>
class responder {
public:
  responder() = default;
  /// Opens `place`, which nobody has opened before, or not since its `rearm`.
  explicit responder(answerable<T>& place) noexcept : place_(&place) { place.open(); }

  /// One more holder of the same request.
  responder(responder const& other) noexcept : place_(other.place_) {
    if (place_) place_->add_strong();
  }
  /// Takes it over; the other is empty.
  responder(responder&& other) noexcept : place_(std::exchange(other.place_, nullptr)) {}
  /// Drops the request it held and holds the other's.
  responder& operator=(responder other) noexcept {
    std::swap(place_, other.place_);
    return *this;
  }
  ~responder() {
    if (place_) place_->drop_strong();
  }

  /// Answers with `value` if nobody has ended the request; moves from it only then.
  bool answer(T&& value) const noexcept {
    if (!place_ || !place_->try_claim(ending::answered)) return false;
    place_->delivered(outcome<T>(std::move(value)));
    return true;
  }
  /// Ends the request as abandoned; returns whether this call was the one.
  bool abandon() const noexcept { return place_ && place_->end(ending::abandoned); }
  /// Ends the request as expired; returns whether this call was the one.
  bool expire() const noexcept { return place_ && place_->end(ending::expired); }
  /// Whether the request is over; false may be old when it arrives.
  [[nodiscard]] bool ended() const noexcept { return !place_ || place_->ended(); }
  /// Whether it belongs to a request at all.
  explicit operator bool() const noexcept { return place_ != nullptr; }
  /// A handle that can end the request but does not keep it open.
  [[nodiscard]] weak_responder weak() const noexcept {
    if (place_) place_->add_weak();
    return weak_responder(place_);
  }
  /// The place the answer goes to, for the code that made it; null if there is none.
  [[nodiscard]] answerable<T>* place() const noexcept { return place_; }

private:
  answerable<T>* place_ = nullptr;
};

namespace detail {

// The place behind make_response: keeps the outcome until the one thread that asks takes it.
template <class T>
class mailbox final : public answerable<T> {
public:
  void delivered(outcome<T>&& result) noexcept override {
    result_.emplace(std::move(result));
    // release: pairs with the acquire in `arrived`.
    arrived_.store(true, std::memory_order_release);
    // In a forked child nobody waits here, and a lock of the parent's threads stays locked.
    if (!born_.forked()) arrival_.notify();
  }
  void released() noexcept override { delete this; }

  bool arrived() const { return arrived_.load(std::memory_order_acquire); }  // see delivered
  outcome<T>& result() { return *result_; }
  parker& arrival() { return arrival_; }
  fork_mark const& born() const { return born_; }

private:
  parker arrival_;
  std::optional<outcome<T>> result_;
  atomic<bool> arrived_{false};
  fork_mark const born_;
};

}  // namespace detail

/// A pending_answer is the asking end of one request: it waits for the outcome.
///
/// Dropping it before the outcome is there expires the request: nobody would see an answer, so a
/// dispatcher does not hand the request to a worker any more, and a handler that runs already can
/// ask `ended`. A wait that timed out changes nothing; dropping the pending_answer then does.
///
/// Threads: one thread at a time. Ruby threads wait through wait.hpp.
/// Blocks:  `wait`, until the outcome is there; `wait_for` at most that long.
/// Throws:  std::runtime_error from a wait in a forked child, unless the outcome is there: it
///          arrives in the parent.
template <class T>
class pending_answer {
public:
  /// For make_response.
  explicit pending_answer(detail::mailbox<T>& box) noexcept : box_(&box) { box.add_weak(); }
  /// Takes it over; the other may only be destroyed or assigned to.
  pending_answer(pending_answer&& other) noexcept : box_(std::exchange(other.box_, nullptr)) {}
  /// Drops the request it waited for and waits for the other's; the other is as after a move.
  pending_answer& operator=(pending_answer&& other) noexcept {
    pending_answer taken(std::move(other));
    std::swap(box_, taken.box_);
    return *this;
  }
  ~pending_answer() {
    if (!box_) return;
    box_->end(ending::expired);
    box_->drop_weak();
  }

  /// Whether the outcome is there, so that `wait` returns at once.
  [[nodiscard]] bool ready() const { return box_->arrived(); }
  /// Waits for the outcome and returns it, by reference into this object.
  [[nodiscard]] outcome<T>& wait() {
    while (!ready()) static_cast<void>(park(std::nullopt));
    return box_->result();
  }
  /// Waits at most `patience`; null if there is still none.
  template <class Rep, class Period>
  [[nodiscard]] outcome<T>* wait_for(std::chrono::duration<Rep, Period> patience) {
    detail::deadline const until = detail::deadline_after(patience);
    while (!ready()) {
      if (park(until) == park_result::timed_out) break;
    }
    return ready() ? &box_->result() : nullptr;
  }

  /// For wait.hpp: throws in a forked child, where no outcome arrives.
  void expect_same_process() const { box_->born().expect_same_process("pending_answer"); }
  /// For wait.hpp: where the outcome's arrival is announced.
  [[nodiscard]] parker& arrival() { return box_->arrival(); }

private:
  // An interruption that wait.hpp left behind is nothing to a native wait, and would turn it
  // into a loop that no deadline ends.
  park_result park(detail::deadline until) {
    expect_same_process();
    detail::check_may_block();
    auto const woken = arrival().park(until);
    if (woken == park_result::interrupted) arrival().clear_interruption();
    return woken;
  }

  detail::mailbox<T>* box_;
};

/// Both ends of one request, made by `make_response`.
template <class T>
struct response_ends {
  pending_answer<T> answer;  ///< For who asks.
  responder<T> respond;      ///< For who answers.
};

/// Makes both ends of one request: `answer` waits for what `respond` says. One allocation.
template <class T>
[[nodiscard]] response_ends<T> make_response() {
  auto& box = *new detail::mailbox<T>;
  responder<T> respond(box);
  pending_answer<T> answer(box);
  return {std::move(answer), std::move(respond)};
}

KINO_NAMESPACE_END
