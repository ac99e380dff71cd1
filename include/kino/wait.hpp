// SPDX-License-Identifier: MIT
//
// wait: blocking waits for Ruby threads, without the GVL, ended by an event, a deadline or Ruby.

#pragma once

#include <kino/broadcast.hpp>
#include <kino/channel.hpp>
#include <kino/condition.hpp>
#include <kino/detail/ruby/signals.hpp>
#include <kino/gvl.hpp>
#include <kino/native_thread.hpp>
#include <kino/parker.hpp>
#include <kino/responder.hpp>
#include <kino/shared_answer.hpp>
#include <kino/shared_cache.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <optional>
#include <string_view>
#include <utility>

KINO_NAMESPACE_BEGIN

namespace detail {

// Waits natively until `finish(deadline)` has a result other than an interruption, or `until`.
// Ruby's unblock function interrupts `spot`. The interruption is cleared before each wait is
// announced to Ruby, so one between the announcement and the sleep still counts. Pending interrupts
// are checked first: an earlier one that Thread.handle_interrupt defers with `:on_blocking` does
// not prevent try_without_gvl from sleeping. Exceptions from `finish` are rethrown with the GVL
// held.
template <class Finish>
auto wait_without_gvl(gvl const& held, parker& spot, deadline until, Finish finish) {
  using result_type = decltype(finish(until));
  auto unblock = [&spot]() noexcept { spot.interrupt(); };
  for (;;) {
    held.check_interrupts();
    spot.clear_interruption();
    deadline const look = next_look(until);
    result_type result{};
    std::exception_ptr thrown;
    auto work = [&]() noexcept {
      try {
        result = finish(look);
      } catch (...) {
        thrown = std::current_exception();
      }
    };
    if (!try_without_gvl(held, work, unblock)) continue;
    if (thrown) std::rethrow_exception(thrown);
    if (result == result_type::interrupted) continue;
    if (result != result_type::timed_out || look == until) return result;
  }
}

}  // namespace detail

/// park_until sleeps in `spot`, without holding the GVL, until it is notified, or until `until`
/// (none: forever); its steps are those of `pop`. Returns `notified` or `timed_out`.
///
/// Ruby's interrupts call the parker's `interrupt`; no other code should. Throws ruby_error if an
/// interrupt raises or unwinds; a notification that arrives in the meantime ends the next park.
inline park_result park_until(gvl const& held, parker& spot,
                              std::optional<std::chrono::steady_clock::time_point> until) {
  return detail::wait_without_gvl(held, spot, until,
                                  [&spot](detail::deadline look) { return spot.park(look); });
}

/// park_for is `park_until` with a timeout.
template <class Rep, class Period>
park_result park_for(gvl const& held, parker& spot, std::chrono::duration<Rep, Period> patience) {
  return park_until(held, spot, detail::deadline_after(patience));
}

/// park is `park_until` without a deadline.
///
/// Example (needs Ruby):
///
///     while (!body.complete()) kino::park(held, body.arrival());
///
inline void park(gvl const& held, parker& spot) {
  static_cast<void>(park_until(held, spot, std::nullopt));
}

/// wait_until waits until `done()` is true, or until `until` (none: forever), and returns the result
/// of the last `done()`. The predicate is evaluated with the GVL held, the sleeps are those of
/// `park_until`; another thread changes the state, then calls `changed.notify_all()`.
///
/// Example (needs Ruby):
///
///     kino::wait(held, changed, [&] { return connections.load() == 0; });
///
template <std::predicate Predicate>
[[nodiscard]] bool wait_until(gvl const& held, condition& changed,
                              std::optional<std::chrono::steady_clock::time_point> until,
                              Predicate done) {
  if (done()) return true;
  condition::waiter here(changed);
  return here.sleep_until(done, [&](parker& spot) { return park_until(held, spot, until); });
}
/// wait_for is that `wait_until` with a timeout.
template <class Rep, class Period, std::predicate Predicate>
[[nodiscard]] bool wait_for(gvl const& held, condition& changed,
                            std::chrono::duration<Rep, Period> patience, Predicate done) {
  return wait_until(held, changed, detail::deadline_after(patience), std::move(done));
}
/// wait is that `wait_until` without a deadline.
template <std::predicate Predicate>
void wait(gvl const& held, condition& changed, Predicate done) {
  static_cast<void>(wait_until(held, changed, std::nullopt, std::move(done)));
}

namespace detail {

template <class T>
pop_result pop_until(gvl const& held, channel<T>& from, T& out, deadline until) {
  pop_result const ready = from.try_pop(out);
  if (ready != pop_result::empty) return ready;
  waiter self;
  return wait_without_gvl(held, self.spot, until, [&](deadline look) {
    return from.pop_until(out, look, self);
  });
}

template <class T>
push_result push_until(gvl const& held, channel<T>& to, T&& value, deadline until) {
  push_result const ready = to.try_push(std::move(value));
  if (ready != push_result::full) return ready;
  waiter self;
  return wait_without_gvl(held, self.spot, until, [&](deadline look) {
    return to.push_until(std::move(value), look, self);
  });
}

template <class T>
outcome<T>* wait_until(gvl const& held, receiver<T>& answer, deadline until) {
  while (!answer.ready()) {
    answer.expect_same_process();
    if (park_until(held, answer.arrival(), until) == park_result::timed_out) break;
  }
  return answer.ready() ? &answer.wait() : nullptr;
}

template <class T>
outcome<T> const* wait_until(gvl const& held, shared_answer<T> const& answer, deadline until) {
  shared_oneshot<T>& box = answer.place();
  if (!box.arrived()) box.expect_same_process();
  auto arrived = [&] { return box.arrived(); };
  return kino::wait_until(held, box.changed(), until, arrived) ? &box.result() : nullptr;
}

}  // namespace detail

/// pop waits for a value of `from` without holding the GVL.
///
///  1. Returns an available value without releasing the GVL.
///  2. Otherwise releases the GVL and sleeps until a push, `close`, or an interrupt: Ctrl-C,
///     Timeout, Thread#raise, Thread#kill and the end of the process wake it immediately (before
///     Ruby 3.3, signals within 100 ms).
///  3. Reacquires the GVL.
///  4. Runs a pending interrupt. If it raises or unwinds, throws ruby_error, and no value was
///     taken. Otherwise waits again.
///
/// A value that was taken is returned before interrupts are checked, so none is lost. Returns
/// `popped` or `closed`. An exception from a native wait, such as std::bad_alloc from a blocked
/// push, is rethrown with the GVL held; the value stays with the caller.
///
/// Example (needs Ruby):
///
///     std::string line;
///     while (kino::pop(held, lines, line) == kino::pop_result::popped) {
///       kino::protect(held, [&] { return rb_str_cat(text, line.data(), line.size()); });
///     }
///
template <class T>
pop_result pop(gvl const& held, channel<T>& from, T& out) {
  return detail::pop_until(held, from, out, std::nullopt);
}

/// pop_for is `pop` with a timeout; it may also return `timed_out`.
template <class T, class Rep, class Period>
pop_result pop_for(gvl const& held, channel<T>& from, T& out,
                   std::chrono::duration<Rep, Period> patience) {
  return detail::pop_until(held, from, out, detail::deadline_after(patience));
}

/// pop waits for the next message of a broadcast, with the steps above.
template <class T>
pop_result pop(gvl const& held, subscriber<T>& from, T& out) {
  return detail::pop_until(held, from.queue(), out, std::nullopt);
}
/// pop_for is that `pop` with a timeout; it may also return `timed_out`.
template <class T, class Rep, class Period>
pop_result pop_for(gvl const& held, subscriber<T>& from, T& out,
                   std::chrono::duration<Rep, Period> patience) {
  return detail::pop_until(held, from.queue(), out, detail::deadline_after(patience));
}

/// push waits for room in `to` without holding the GVL; its steps are those of `pop`.
///
/// Returns `pushed` or `closed`, and moves from `value` only if `pushed`. If it throws ruby_error,
/// `value` is untouched.
template <class T>
push_result push(gvl const& held, channel<T>& to, T&& value) {
  return detail::push_until(held, to, std::move(value), std::nullopt);
}

/// push_for is `push` with a timeout; it may also return `timed_out`.
template <class T, class Rep, class Period>
push_result push_for(gvl const& held, channel<T>& to, T&& value,
                     std::chrono::duration<Rep, Period> patience) {
  return detail::push_until(held, to, std::move(value), detail::deadline_after(patience));
}

/// wait waits for the outcome of a request; its steps are those of `pop`. Throws ruby_error if an
/// interrupt raises or unwinds; the request then continues, and its outcome still arrives at
/// `answer`.
template <class T>
outcome<T>& wait(gvl const& held, receiver<T>& answer) {
  return *detail::wait_until(held, answer, std::nullopt);
}

/// wait_for is `wait` with a timeout; returns null if there is no outcome by then.
template <class T, class Rep, class Period>
outcome<T>* wait_for(gvl const& held, receiver<T>& answer,
                     std::chrono::duration<Rep, Period> patience) {
  return detail::wait_until(held, answer, detail::deadline_after(patience));
}

/// wait waits for the outcome of a shared answer; it is valid while a handle on it exists.
template <class T>
outcome<T> const& wait(gvl const& held, shared_answer<T> const& answer) {
  return *detail::wait_until(held, answer, std::nullopt);
}
/// wait_for is that `wait` with a timeout; returns null if there is no outcome by then.
template <class T, class Rep, class Period>
outcome<T> const* wait_for(gvl const& held, shared_answer<T> const& answer,
                           std::chrono::duration<Rep, Period> patience) {
  return detail::wait_until(held, answer, detail::deadline_after(patience));
}

/// fetch is shared_cache::fetch for a Ruby thread: it calls `compute()` with the GVL held, and its
/// waits have the steps of `pop`. If `compute` throws ruby_error, or a kill ends it, another waiting
/// caller computes. Make Ruby calls in `compute` inside kino::protect, as everywhere.
template <class T, class Compute>
T fetch(gvl const& held, shared_cache<T>& cache, std::string_view key, Compute&& compute) {
  return cache.fetch_as(static_cast<std::uintptr_t>(rb_thread_current()), key, compute,
                        [&](shared_answer<bool> const& over) {
                          static_cast<void>(wait(held, over));
                        });
}

#ifdef __cpp_lib_jthread
/// join waits for the end of `thread`'s work, with the steps of `pop`, and rethrows its exception.
/// If an interrupt raises or unwinds, throws ruby_error and leaves the thread unchanged. Request
/// stop first.
inline void join(gvl const& held, native_thread& thread) {
  static_cast<void>(wait(held, thread.ended()));
  thread.join();
}
#endif

/// sleep sleeps for `duration`, measured by the operating system's clock; its steps are those of
/// `pop`.
///
/// Ruby's own sleep is coarse in Ractors whose threads are not pinned: on some Rubies, durations of
/// 1 ms or less return immediately, and longer ones are rounded up to whole milliseconds.
template <class Rep, class Period>
void sleep(gvl const& held, std::chrono::duration<Rep, Period> duration) {
  parker spot;
  static_cast<void>(park_for(held, spot, duration));
}

KINO_NAMESPACE_END
