// SPDX-License-Identifier: MIT
//
// responder<T>: the right to answer one request, once; and both ends of the exchange.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/detail/blocking.hpp>
#include <kino/detail/claim.hpp>
#include <kino/fork_mark.hpp>
#include <kino/outcome.hpp>
#include <kino/parker.hpp>

#include <chrono>
#include <concepts>
#include <optional>
#include <utility>

KINO_NAMESPACE_BEGIN

/// A completion receives one answer; derive from it to receive answers in your own object.
///
/// `delivered` is called exactly once, in the thread that ended the request, which may be any
/// thread: it must not block, throw or call Ruby. `released` is called when the last responder and
/// the last weak_responder are gone, never before `delivered`; the object may then be destroyed
/// or, after `rearm`, used for another request. Answering allocates nothing.
template <class T>
class completion : public detail::claim {
public:
  /// Receives the outcome.
  virtual void delivered(outcome<T>&& result) noexcept = 0;

private:
  void conclude(ending why) noexcept final { delivered(outcome<T>(why)); }
};

/// A weak_responder can end a request without an answer, and does not keep it open.
///
/// Supervisors keep one for each request. They can abandon the requests of a crashed worker
/// immediately, although the responder itself may be in an object that the garbage collector
/// frees much later.
///
/// Threads: distinct objects may be used by any thread; one object by one thread at a time.
class weak_responder {
public:
  weak_responder() = default;
  /// Moves; the other is then empty.
  weak_responder(weak_responder&& other) noexcept
      : claim_(std::exchange(other.claim_, nullptr)) {}
  /// Releases the current request and refers to the other's; the other is then empty.
  weak_responder& operator=(weak_responder&& other) noexcept {
    weak_responder taken(std::move(other));
    std::swap(claim_, taken.claim_);
    return *this;
  }
  ~weak_responder() {
    if (claim_) claim_->drop_weak();
  }

  /// Ends the request as abandoned; returns whether this call ended it.
  bool abandon() const noexcept { return claim_ && claim_->end(ending::abandoned); }
  /// Ends the request as expired; returns whether this call ended it.
  bool expire() const noexcept { return claim_ && claim_->end(ending::expired); }
  /// Whether the request has ended; false may be stale on return.
  [[nodiscard]] bool ended() const noexcept { return !claim_ || claim_->ended(); }
  /// Whether it refers to a request.
  explicit operator bool() const noexcept { return claim_ != nullptr; }

  /// Transfers the claim to the caller, for example to an atomic that several threads empty.
  [[nodiscard]] detail::claim* release() noexcept { return std::exchange(claim_, nullptr); }
  /// Takes over a claim that `release` returned.
  [[nodiscard]] static weak_responder adopt(detail::claim* claim) noexcept {
    return weak_responder(claim);
  }

private:
  template <class T>
  friend class responder;
  explicit weak_responder(detail::claim* claim) noexcept : claim_(claim) {}

  detail::claim* claim_ = nullptr;
};

/// A responder carries the right to answer one request; the first answer wins.
///
/// Copies share the right: a worker, a timer and a shutdown may each hold one. The first
/// `answer`, `abandon` or `expire` ends the request; all others return false, and a value stays
/// with its caller. Dropping the last responder without an answer delivers `abandoned`, so the
/// asking side never waits for a reply that cannot come.
///
/// Threads:    distinct objects may be used by any thread concurrently; one object by one thread
///             at a time.
/// GVL:        never needed, never taken: safe in a dfree function of the garbage collector.
/// Blocks:     never.
/// Throws:     nothing.
/// Order:      effects before the winning call are visible where the outcome arrives.
///
/// Example:
///
///     auto [answer, respond] = kino::make_response<int>();
///     assert(respond.answer(42));
///     assert(!respond.answer(43));
///     assert(answer.wait().value() == 42);
///
/// and without an answer:
///
///     auto [answer, respond] = kino::make_response<int>();
///     { auto last = std::move(respond); }
///     assert(answer.wait().kind() == kino::ending::abandoned);
///
template <class T>
class responder {
public:
  responder() = default;
  /// Opens a request whose answer goes to `place`, which must be new or rearmed.
  explicit responder(completion<T>& place) noexcept : place_(&place) { place.open(); }

  /// Creates another holder of the same request.
  responder(responder const& other) noexcept : place_(other.place_) {
    if (place_) place_->add_strong();
  }
  /// Moves; the other is then empty.
  responder(responder&& other) noexcept : place_(std::exchange(other.place_, nullptr)) {}
  /// Drops the current request and holds the other's.
  responder& operator=(responder other) noexcept {
    std::swap(place_, other.place_);
    return *this;
  }
  ~responder() {
    if (place_) place_->drop_strong();
  }

  /// Answers with `value` unless the request has ended; moves from `value` only if it answers.
  bool answer(T&& value) const noexcept {
    if (!place_ || !place_->try_claim(ending::answered)) return false;
    place_->delivered(outcome<T>(std::move(value)));
    return true;
  }
  /// Not from a VALUE, which is an integer for C++: a number that it is not would be the answer.
  template <std::same_as<unsigned long> Other>
    requires(std::is_arithmetic_v<T> && !std::same_as<T, Other>)
  bool answer(Other) const noexcept {
    static_assert(sizeof(Other) == 0,
                  "the answer is an unsigned long, as Ruby's VALUE is, and not what was asked for: convert it "
                  "(kino::from_ruby<T>(held, value)), or cast a number");
    return false;
  }
  /// Ends the request as abandoned; returns whether this call ended it.
  bool abandon() const noexcept { return place_ && place_->end(ending::abandoned); }
  /// Ends the request as expired; returns whether this call ended it.
  bool expire() const noexcept { return place_ && place_->end(ending::expired); }
  /// Whether the request has ended; false may be stale on return.
  [[nodiscard]] bool ended() const noexcept { return !place_ || place_->ended(); }
  /// Whether it refers to a request.
  explicit operator bool() const noexcept { return place_ != nullptr; }
  /// A handle that can end the request but does not keep it open.
  [[nodiscard]] weak_responder weak() const noexcept {
    if (place_) place_->add_weak();
    return weak_responder(place_);
  }
  /// The object that receives the answer; null if there is none.
  [[nodiscard]] completion<T>* place() const noexcept { return place_; }

private:
  completion<T>* place_ = nullptr;
};

namespace detail {

// The shared state of make_response: keeps the outcome until the asking thread takes it.
template <class T>
class oneshot final : public completion<T> {
public:
  void delivered(outcome<T>&& result) noexcept override {
    result_.emplace(std::move(result));
    // release: pairs with the acquire in `arrived`.
    arrived_.store(true, std::memory_order_release);
    // In a forked child, no thread waits here, and locks held by the parent's threads stay locked.
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

/// A receiver is the asking end of one request: it waits for the outcome.
///
/// Dropping it before the outcome has arrived expires the request: a dispatcher then does not hand
/// the request to a worker, and a running handler can check `ended`. A wait that times out does not
/// expire the request; dropping the receiver does.
///
/// Threads: one thread at a time. Ruby threads wait through wait.hpp.
/// Blocks:  `wait` and `wait_for`, until the outcome has arrived.
/// Throws:  std::runtime_error from a wait in a forked child, unless the outcome has arrived:
///          later it arrives only in the parent.
template <class T>
class receiver {
public:
  /// For make_response.
  explicit receiver(detail::oneshot<T>& box) noexcept : box_(&box) { box.add_weak(); }
  /// Moves; the other may then only be destroyed or assigned to.
  receiver(receiver&& other) noexcept : box_(std::exchange(other.box_, nullptr)) {}
  /// Drops the current request and takes over the other's; the other is then moved-from.
  receiver& operator=(receiver&& other) noexcept {
    receiver taken(std::move(other));
    std::swap(box_, taken.box_);
    return *this;
  }
  ~receiver() {
    if (!box_) return;
    box_->end(ending::expired);
    box_->drop_weak();
  }

  /// Whether the outcome has arrived and `wait` returns immediately.
  [[nodiscard]] bool ready() const { return box().arrived(); }
  /// Waits for the outcome and returns it, by reference into this object.
  [[nodiscard]] outcome<T>& wait() {
    while (!ready()) static_cast<void>(park(std::nullopt));
    return box().result();
  }
  /// Waits at most `patience`; returns null if there is no outcome by then.
  template <class Rep, class Period>
  [[nodiscard]] outcome<T>* wait_for(std::chrono::duration<Rep, Period> patience) {
    detail::deadline const until = detail::deadline_after(patience);
    while (!ready()) {
      if (park(until) == park_result::timed_out) break;
    }
    return ready() ? &box().result() : nullptr;
  }

  /// For wait.hpp: throws in a forked child, where no outcome arrives.
  void expect_same_process() const { box().born().expect_same_process("receiver"); }
  /// For wait.hpp: the parker that is notified when the outcome arrives.
  [[nodiscard]] parker& arrival() { return box().arrival(); }

private:
  detail::oneshot<T>& box() const {
    KINO_ASSERT(box_, "a receiver that was moved from is destroyed or assigned to, and nothing else");
    return *box_;
  }
  // A native wait ignores an interruption that wait.hpp left behind. It must clear it: otherwise
  // the wait would spin and never reach its deadline.
  park_result park(detail::deadline until) {
    expect_same_process();
    detail::check_may_block();
    auto const woken = arrival().park(until);
    if (woken == park_result::interrupted) arrival().clear_interruption();
    return woken;
  }

  detail::oneshot<T>* box_;
};

/// Both ends of one request, made by `make_response`.
template <class T>
struct response_ends {
  receiver<T> answer;  ///< The asking end.
  responder<T> respond;      ///< The answering end.
};

/// Creates both ends of one request: `answer` receives the outcome of `respond`. Allocates once.
template <class T>
[[nodiscard]] response_ends<T> make_response() {
  auto& box = *new detail::oneshot<T>;
  responder<T> respond(box);
  receiver<T> answer(box);
  return {std::move(answer), std::move(respond)};
}

KINO_NAMESPACE_END
