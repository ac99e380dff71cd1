// SPDX-License-Identifier: MIT
//
// channel<T>: a bounded queue with many producers and many consumers.

#pragma once

#include <kino/detail/blocking.hpp>
#include <kino/detail/bounded_store.hpp>
#include <kino/detail/wake_throttle.hpp>
#include <kino/fork_mark.hpp>

#include <chrono>
#include <cstddef>
#include <type_traits>
#include <utility>

KINO_NAMESPACE_BEGIN

/// The outcome of a push. Only `pushed` moves from the value.
enum class [[nodiscard]] push_result {
  pushed,       ///< The value is in the channel.
  full,         ///< No room, and the call does not wait. Try later, or use `push`.
  closed,       ///< The channel accepts no more values. Discard the value.
  timed_out,    ///< No room until the deadline.
  interrupted,  ///< The wait was interrupted (see wait.hpp). Handle the interrupt, then push again.
  no_workers,   ///< Only from a dispatcher: its last worker has left (`refuse_without_workers`).
};

/// The outcome of a pop. Only `popped` assigns the value.
enum class [[nodiscard]] pop_result {
  popped,       ///< A value was moved out.
  empty,        ///< No value, and the call does not wait.
  closed,       ///< Closed and drained: no value will ever arrive.
  timed_out,    ///< No value until the deadline.
  interrupted,  ///< The wait was interrupted, and no value was taken.
};

namespace detail {

template <class T>
inline constexpr bool channel_value =
    std::is_default_constructible_v<T> && std::is_nothrow_move_constructible_v<T> &&
    std::is_nothrow_move_assignable_v<T>;

}  // namespace detail

/// A channel hands values from many producers to many consumers, FIFO per producer.
///
/// Values of different producers are unordered, but none waits for ever while others are popped:
/// consumers take from all producers in turn. The capacity is exact: the channel holds at most
/// `capacity` values, and a push beyond that fails or waits (back-pressure). `close` refuses
/// further pushes and lets consumers drain the remaining values. Values are stored in
/// moodycamel's lock-free queue; kino implements waiting and waking: a push wakes a sleeping
/// consumer only if no other consumer is already on its way.
///
/// T must be default constructible, nothrow movable and nothrow move-assignable.
///
/// Threads:    any thread, any Ractor, concurrently. It must not be in use when it is destroyed.
/// GVL:        never needed. A thread that holds it must not call the blocking members; it
///             waits through wait.hpp, which releases the GVL while it waits.
/// Blocks:     `push`, `pop` and their timed forms; the `try_` members never.
/// Throws:     std::bad_alloc from a push, with the value untouched; std::runtime_error in a
///             forked child.
/// Order:      effects before a push are visible after the pop of its value.
/// Fork:       a channel does not survive fork; create a new one in the child. There every push
///             and pop of an inherited one throws, `close` does nothing, and it can be destroyed.
///
/// Example:
///
///     kino::channel<int> numbers{2};
///     assert(numbers.try_push(1) == kino::push_result::pushed);
///     assert(numbers.try_push(2) == kino::push_result::pushed);
///     assert(numbers.try_push(3) == kino::push_result::full);
///     numbers.close();
///     int number = 0;
///     assert(numbers.pop(number) == kino::pop_result::popped && number == 1);
///     assert(numbers.pop(number) == kino::pop_result::popped && number == 2);
///     assert(numbers.pop(number) == kino::pop_result::closed);
///
template <class T>
class channel {
public:
  /// Creates a channel for at most `capacity` values. Throws std::invalid_argument unless that is
  /// between 1 and 2147483647.
  explicit channel(std::size_t capacity) : store_(capacity) {
    // Here, where a class that has a channel of its own nested type is complete, and so are the
    // nested type's default member initializers.
    static_assert(detail::channel_value<T>,
                  "a channel's values must be default constructible and nothrow movable: a value "
                  "whose move throws would be lost between two threads");
  }

  channel(channel const&) = delete;
  channel& operator=(channel const&) = delete;
  ~channel() {
    KINO_ASSERT(born_.forked() || detail::process_ends.load(std::memory_order_relaxed) ||
                    (consumers_.read().parked == 0 && producers_.read().parked == 0),
                "a channel must not be destroyed while a thread waits in it: close it and wait for its threads first");
  }

  /// Pushes `value` if there is room.
  push_result try_push(T&& value);
  /// Pushes `value`, waiting for room without limit.
  push_result push(T&& value) { return push_until(std::move(value), std::nullopt); }
  /// Pushes `value`, waiting for room at most `patience`.
  template <class Rep, class Period>
  push_result push_for(T&& value, std::chrono::duration<Rep, Period> patience) {
    return push_until(std::move(value), detail::deadline_after(patience));
  }
  /// Moves values out of [first, last) while there is room; returns the end of the pushed values.
  template <class Iterator>
  [[nodiscard]] Iterator try_push_bulk(Iterator first, Iterator last);

  /// Pops the next value into `out` if there is one.
  pop_result try_pop(T& out);
  /// Pops the next value into `out`, waiting for one without limit.
  pop_result pop(T& out) { return pop_until(out, std::nullopt); }
  /// Pops the next value into `out`, waiting for one at most `patience`.
  template <class Rep, class Period>
  pop_result pop_for(T& out, std::chrono::duration<Rep, Period> patience) {
    return pop_until(out, detail::deadline_after(patience));
  }
  /// Pops up to `most` values into `out`; returns how many.
  template <class Output>
  [[nodiscard]] std::size_t try_pop_bulk(Output out, std::size_t most);

  /// Closes the channel: refuses further pushes and wakes blocked waiters. Idempotent.
  void close();

  /// Whether `close` was called.
  [[nodiscard]] bool closed() const { return store_.closed(); }
  /// Whether it is closed and empty: a pop returns `closed`.
  [[nodiscard]] bool drained() const { return store_.finished(); }
  /// Number of values ready to be popped; may be stale on return.
  [[nodiscard]] std::size_t size() const { return store_.size(); }
  /// Maximum number of values.
  [[nodiscard]] std::size_t capacity() const { return store_.capacity(); }

  /// For wait.hpp: pushes, waiting until `until` (none: without limit) or until another thread
  /// interrupts `self.spot`. Room that is available is used even after an interrupt.
  push_result push_until(T&& value, detail::deadline until, detail::waiter& self);
  /// For wait.hpp: pops, waiting as above. A value that is available is taken even after an
  /// interrupt.
  pop_result pop_until(T& out, detail::deadline until, detail::waiter& self);

  /// Number of sleeping threads woken so far; throttled waking keeps it low.
  [[nodiscard]] std::uint64_t wake_count() const {
    return consumers_.wake_count() + producers_.wake_count();
  }

private:
  push_result push_until(T&& value, detail::deadline until) {
    detail::check_may_block();
    detail::waiter self;
    return push_until(std::move(value), until, self);
  }
  pop_result pop_until(T& out, detail::deadline until) {
    detail::check_may_block();
    detail::waiter self;
    return pop_until(out, until, self);
  }

  template <class Attempt, class Blocked, class Waits>
  auto wait_in(detail::wake_throttle& line, detail::waiter& self, detail::deadline until,
               Attempt attempt, Blocked blocked, Waits waits);
  void popped() {
    if (store_.finished()) {
      consumers_.release_all();
    } else {
      producers_.notify();
    }
  }

  detail::bounded_store<T> store_;
  detail::wake_throttle consumers_;
  detail::wake_throttle producers_;
  fork_mark const born_;
};

// --- implementation ---------------------------------------------------------

template <class T>
push_result channel<T>::try_push(T&& value) {
  born_.expect_same_process("channel");
  try {
    switch (store_.try_push(std::move(value))) {
      case detail::store_push::pushed: consumers_.notify(); return push_result::pushed;
      case detail::store_push::full: return push_result::full;
      case detail::store_push::closed: break;
    }
  } catch (...) {
    popped();  // The reserved place is free again.
    throw;
  }
  return push_result::closed;
}

template <class T>
pop_result channel<T>::try_pop(T& out) {
  born_.expect_same_process("channel");
  switch (store_.try_pop(out)) {
    case detail::store_pop::popped: popped(); return pop_result::popped;
    case detail::store_pop::empty: return pop_result::empty;
    case detail::store_pop::finished: break;
  }
  return pop_result::closed;
}

template <class T>
template <class Iterator>
Iterator channel<T>::try_push_bulk(Iterator first, Iterator last) {
  while (first != last && try_push(std::move(*first)) == push_result::pushed) ++first;
  return first;
}

template <class T>
template <class Output>
std::size_t channel<T>::try_pop_bulk(Output out, std::size_t most) {
  born_.expect_same_process("channel");
  std::size_t const taken = store_.try_pop_bulk(out, most);
  if (taken != 0) popped();
  return taken;
}

template <class T>
push_result channel<T>::push_until(T&& value, detail::deadline until, detail::waiter& self) {
  return wait_in(
      producers_, self, until, [&] { return try_push(std::move(value)); }, push_result::full,
      [&] { return store_.has_room() || store_.closed(); });
}

template <class T>
pop_result channel<T>::pop_until(T& out, detail::deadline until, detail::waiter& self) {
  return wait_in(
      consumers_, self, until, [&] { return try_pop(out); }, pop_result::empty,
      [&] { return store_.has_ready() || store_.finished(); });
}

// The wait of both sides: calls `attempt` until it returns anything but `blocked`. `waits` tells
// whether an attempt can succeed, and is called after every change to the wait queue.
template <class T>
template <class Attempt, class Blocked, class Waits>
auto channel<T>::wait_in(detail::wake_throttle& line, detail::waiter& self,
                         detail::deadline until, Attempt attempt, Blocked blocked,
                         Waits waits) {
  // The search ends in any case: a push that throws must not block the wait queue.
  struct search {
    detail::wake_throttle& line;
    Waits& waits;
    bool on = false;
    ~search() {
      if (!on) return;
      line.stop_searching(false);
      if (waits()) line.notify();
    }
  } searching{line, waits};
  auto result = attempt();
  auto give_up = Blocked{};
  bool last_try = false;
  while (result == blocked && !last_try) {
    line.enter(self, searching.on, searching.on);
    if (waits()) line.notify();
    // `close` woke the threads it found; a later one must not sleep.
    bool const missed_close = store_.closed() && waits();
    auto const woken = missed_close ? park_result::timed_out : self.spot.park(until);
    if (woken == park_result::notified) {
      searching.on = self.granted;
    } else {
      searching.on = !line.leave(self) && self.granted;
      last_try = !missed_close;
      give_up = woken == park_result::interrupted ? Blocked::interrupted
                                                          : Blocked::timed_out;
    }
    result = attempt();
  }
  return result == blocked ? give_up : result;
}

template <class T>
void channel<T>::close() {
  if (born_.forked()) return;  // locks held by the parent's threads stay locked
  if (!store_.close()) return;
  producers_.release_all();
  if (store_.finished()) consumers_.release_all();
}

KINO_NAMESPACE_END
