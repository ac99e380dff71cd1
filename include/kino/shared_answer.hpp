// SPDX-License-Identifier: MIT
//
// shared_answer<T>: one outcome for any number of waiting threads.

#pragma once

#include <kino/condition.hpp>
#include <kino/detail/atomic.hpp>
#include <kino/detail/blocking.hpp>
#include <kino/fork_mark.hpp>
#include <kino/responder.hpp>

#include <chrono>
#include <optional>
#include <utility>

KINO_NAMESPACE_BEGIN

namespace detail {

// The shared state of make_shared_response: keeps the outcome as long as a shared_answer exists.
template <class T>
class shared_oneshot final : public completion<T> {
public:
  void delivered(outcome<T>&& result) noexcept override {
    result_.emplace(std::move(result));
    // release: pairs with the acquire in `arrived`.
    arrived_.store(true, std::memory_order_release);
    changed_.notify_all();
  }
  void released() noexcept override { delete this; }

  void expect_same_process() const { born_.expect_same_process("shared_answer"); }
  bool arrived() const { return arrived_.load(std::memory_order_acquire); }  // see delivered
  outcome<T> const& result() const { return *result_; }
  condition& changed() { return changed_; }

private:
  std::optional<outcome<T>> result_;  // written once, before it has arrived
  atomic<bool> arrived_{false};
  condition changed_;
  fork_mark const born_;
};

}  // namespace detail

/// A shared_answer is the asking end of one request, for any number of threads.
///
/// Copies are handles on the same outcome, which exists as long as the last of them. All waiting
/// threads get a reference to the same value: concurrent reads of a const T must be safe.
///
/// Threads: distinct handles and the const members of one handle may be used concurrently. Ruby
///          threads wait through wait.hpp.
/// GVL:     never needed. `wait` and `wait_for` must not be called with the GVL held (checked): use
///          kino::wait(held, answer).
/// Blocks:  `wait` and `wait_for`, until the outcome has arrived.
/// Throws:  std::bad_alloc, from make_shared_response; std::runtime_error from a wait in a forked
///          child, unless the outcome has arrived: it arrives in the parent.
/// Fork:    a child may answer, and drop inherited handles.
///
/// Example:
///
///     auto [answer, respond] = kino::make_shared_response<std::string>();
///     auto wait = [answer](std::stop_token) { assert(answer.wait().value() == "42"); };
///     kino::native_thread one(wait);
///     kino::native_thread other(wait);
///     respond.answer("42");
///
template <class T>
class shared_answer {
public:
  /// For make_shared_response.
  explicit shared_answer(detail::shared_oneshot<T>& box) noexcept : box_(&box) { box.add_weak(); }
  /// Creates another handle.
  shared_answer(shared_answer const& other) noexcept : box_(other.box_) {
    if (box_) box_->add_weak();
  }
  /// Moves; the other may then only be destroyed or assigned to.
  shared_answer(shared_answer&& other) noexcept : box_(std::exchange(other.box_, nullptr)) {}
  /// Drops the current handle and takes over the other's outcome.
  shared_answer& operator=(shared_answer other) noexcept {
    std::swap(box_, other.box_);
    return *this;
  }
  ~shared_answer() {
    if (box_) box_->drop_weak();
  }

  /// Whether the outcome has arrived and `wait` returns immediately.
  [[nodiscard]] bool ready() const { return place().arrived(); }
  /// Waits for the outcome and returns it; valid while a handle exists.
  [[nodiscard]] outcome<T> const& wait() const { return *wait_until(std::nullopt); }
  /// Waits at most `patience`; returns null if there is no outcome by then.
  template <class Rep, class Period>
  [[nodiscard]] outcome<T> const* wait_for(std::chrono::duration<Rep, Period> patience) const {
    return wait_until(detail::deadline_after(patience));
  }

  /// For wait.hpp: the shared state.
  [[nodiscard]] detail::shared_oneshot<T>& place() const {
    KINO_ASSERT(box_, "a shared_answer that was moved from is destroyed or assigned to, and nothing else");
    return *box_;
  }

private:
  outcome<T> const* wait_until(detail::deadline until) const {
    detail::shared_oneshot<T>& box = place();
    if (!box.arrived()) {
      box.expect_same_process();
      detail::check_may_block();
    }
    return box.changed().wait_until(until, [&] { return box.arrived(); }) ? &box.result() : nullptr;
  }

  detail::shared_oneshot<T>* box_;
};

/// Both ends of one request with a shared answer, made by `make_shared_response`.
template <class T>
struct shared_response_ends {
  shared_answer<T> answer;  ///< The asking end; copy it.
  responder<T> respond;     ///< The answering end.
};

/// Creates both ends of one request: every copy of `answer` receives the outcome of `respond`.
/// Allocates once.
template <class T>
[[nodiscard]] shared_response_ends<T> make_shared_response() {
  auto& box = *new detail::shared_oneshot<T>;
  responder<T> respond(box);
  shared_answer<T> answer(box);
  return {std::move(answer), std::move(respond)};
}

KINO_NAMESPACE_END
