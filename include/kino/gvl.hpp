// SPDX-License-Identifier: MIT
//
// gvl: a token proving the GVL is held; functions to release and reacquire it.

#pragma once

#include <kino/detail/ruby/headers.hpp>
#include <kino/detail/ruby/pinning.hpp>
#include <kino/detail/ruby/signals.hpp>
#include <kino/ruby_features.hpp>

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

KINO_NAMESPACE_BEGIN

namespace detail {
struct gvl_of_call;
}

/// A ruby_error is a Ruby exception, `throw` or `Thread#kill` that propagates through C++ frames.
///
/// It is thrown when a protected Ruby call raises or unwinds, and the method boundary
/// (extension.hpp) re-raises it in Ruby once every C++ frame is unwound. It is not a
/// std::exception, so a handler for those does not swallow a Thread#kill or a Timeout; a
/// `catch (...)` must rethrow it. The exception itself stays with the thread (`$!`) until the
/// boundary: Ruby code in a destructor or catch block must run inside `kino::protect`, which
/// preserves it.
class ruby_error {
public:
  /// `state` is the state that rb_protect reported.
  explicit ruby_error(int state) noexcept : state_(state) {}
  /// The state that rb_protect reported, for rb_jump_tag.
  [[nodiscard]] int state() const noexcept { return state_; }

private:
  int state_;
};

/// A gvl proves that this thread is a Ruby thread and holds its Ractor's GVL.
///
/// A function that needs the lock takes a `gvl const&`, so the signature shows it. kino passes one
/// to methods and to KINO_EXTENSION. Do not store one or pass it to
/// another thread: functions that call Ruby check it, and end the program where the GVL is not held.
///
/// There is one GVL per Ractor: holding it protects nothing that two Ractors share.
class gvl {
public:
  /// Creates a token in a C callback that Ruby calls. Checked: ends the program in a native thread,
  /// or while the GVL is released.
  [[nodiscard]] static gvl assume() noexcept {
    KINO_ASSERT(detail::holds_gvl(),
                "gvl::assume() is for callbacks that Ruby calls: this thread does not hold the "
                "GVL; hand work to a Ruby thread with a channel or a dispatcher");
    return gvl();
  }
  gvl(gvl const&) = delete;  // a copy would outlive what it proves: pass it on as gvl const&
  gvl& operator=(gvl const&) = delete;

  /// Runs pending interrupts of this thread: signal handlers, Thread#raise, Thread#kill, Timeout.
  /// Throws ruby_error if one of them raises or unwinds.
  void check_interrupts() const;

private:
  friend struct detail::gvl_of_call;
  gvl() = default;
};

namespace detail {

// The token in a method that Ruby has just called: no check is needed.
struct gvl_of_call {
  static gvl get() noexcept { return gvl(); }
};

// rb_protect that preserves the Ruby exception propagating through C++, if any, unless `function`
// raises another one. Ruby's `rescue` clears it; rb_ensure restores it.
inline VALUE protect_keeping_error(VALUE (*function)(VALUE), VALUE argument, int& state) {
  struct call {
    VALUE (*function)(VALUE);
    VALUE argument;
    VALUE value;
  } todo{function, argument, Qnil};
  rb_protect(
      [](VALUE outer) {
        return rb_ensure([](VALUE) { return Qnil; }, Qnil,
                         [](VALUE inner) {
                           call& mine = *reinterpret_cast<call*>(inner);
                           return mine.value = mine.function(mine.argument);
                         },
                         outer);
      },
      reinterpret_cast<VALUE>(&todo), &state);
  return todo.value;
}

// kino::protect, for a caller that is known to hold the GVL.
template <class Body>
auto protect_unchecked(Body&& body) -> std::invoke_result_t<Body&> {
  using result = std::invoke_result_t<Body&>;
  static_assert(std::is_void_v<result> || std::is_same_v<result, VALUE>,
                "the body of kino::protect must return a VALUE or void");
  struct call {
    std::remove_reference_t<Body>* body;
    std::exception_ptr thrown;
  } todo{&body, nullptr};
  // No C++ exception may leave it: the Ruby frames below cannot be unwound.
  auto const function = [](VALUE argument) noexcept -> VALUE {
    call& mine = *reinterpret_cast<call*>(argument);
    try {
      if constexpr (std::is_void_v<result>) {
        (*mine.body)();
      } else {
        return (*mine.body)();
      }
    } catch (...) {
      mine.thrown = std::current_exception();
    }
    return Qnil;
  };
  int state = 0;
  VALUE const argument = reinterpret_cast<VALUE>(&todo);
  VALUE const value = NIL_P(rb_errinfo())
                          ? rb_protect(function, argument, &state)
                          : protect_keeping_error(function, argument, state);
  if (state) throw ruby_error(state);
  if (todo.thrown) std::rethrow_exception(std::move(todo.thrown));
  if constexpr (!std::is_void_v<result>) return value;
}

}  // namespace detail

/// protect calls `body`, in which Ruby may raise, and throws ruby_error if it does.
///
/// Ruby leaves `body` by longjmp, so no object in it may have a destructor that matters. Returns
/// the result of `body`: a VALUE, or nothing. `body` may call C++ code that throws, including a
/// nested protect: the exception is rethrown here, after Ruby's own frames have been unwound
/// properly. A block or callback that Ruby calls in between needs `kino::boundary`
/// (extension.hpp).
///
/// Example (needs Ruby):
///
///     VALUE text = kino::protect(held, [&] { return rb_obj_as_string(object); });
///
template <class Body>
auto protect(gvl const&, Body&& body) -> std::invoke_result_t<Body&> {
  detail::expect_gvl();
  return detail::protect_unchecked(body);
}

inline void gvl::check_interrupts() const {
  protect(*this, [] { rb_thread_check_ints(); });
}

/// pin_thread pins the calling Ruby thread to its native thread permanently, where Ruby supports
/// it (3.4).
///
/// Threads of Ractors other than the main one share RUBY_MAX_CPU native threads (8 by default).
/// No more than that run in parallel, and a thread that waits in native code prevents others from
/// running. A dispatcher's `join` pins its workers; pin other threads that compute or wait for
/// long. Create the next Ractor only after the previous one is pinned: on Ruby 3.4 and 4.0,
/// pinning the only shared native thread while others wait to start can hang. The native thread
/// gets the Ruby thread's name, which `ps -T` and `top -H` show (Linux).
inline void pin_thread(gvl const& held) {
  protect(held, [] { static_cast<void>(detail::pin_thread()); });
}

/// pin_waiting_thread is `pin_thread` for a thread that is about to wait: it replaces the native
/// thread that others shared, so Ractors created in a row may all call it. Further calls of a fiber
/// do nothing. The first one in a thread of a Ractor other than the main one starts a Ractor that ends
/// at once: Ruby then starts the replacement.
inline void pin_waiting_thread(gvl const& held) {
  protect(held, [] { detail::pin_waiting_thread(); });
}

/// Tag type: declares that the work cannot be interrupted. Ctrl-C, Timeout and Thread#kill wait
/// for it.
struct uninterruptible_t {};
/// The tag, passed in place of an unblock function.
inline constexpr uninterruptible_t uninterruptible{};

/// try_without_gvl runs `work` with the GVL released, unless an interrupt is pending. It returns
/// whether `work` ran.
///
/// It performs steps 2 to 4 of `without_gvl`, for code in which no Ruby code may run or raise: a
/// trap, an exit handler, or a loop that checks interrupts where its own state allows it. Neither
/// `work` nor `unblock` may throw. `unblock` must only wake `work`: Ruby calls it from any thread,
/// with its own locks held, any number of times, even before `work` has started. Never throws.
///
/// Example (needs Ruby):
///
///     auto flush = [&]() noexcept { done = log.flush(1s); };
///     if (!kino::try_without_gvl(held, flush, kino::uninterruptible)) flush();  // in a trap
///
template <class Work, class Unblock>
[[nodiscard]] bool try_without_gvl(gvl const&, Work&& work, Unblock&& unblock) noexcept {
  using work_type = std::remove_reference_t<Work>;
  using unblock_type = std::remove_reference_t<Unblock>;
  constexpr bool interruptible = !std::is_same_v<std::remove_cv_t<unblock_type>, uninterruptible_t>;
  static_assert(noexcept(work()), "the work of try_without_gvl must be noexcept: it runs above Ruby's frames");
  if constexpr (interruptible) {
    static_assert(noexcept(unblock()), "an unblock function must be noexcept: it runs above Ruby's frames");
  }
  detail::expect_gvl();
  struct call {
    work_type* work;
    bool ran;
  } todo{&work, false};
  rb_nogvl(
      [](void* argument) -> void* {
        call& mine = *static_cast<call*>(argument);
        mine.ran = true;
        (*mine.work)();
        return nullptr;
      },
      &todo,
      [](void* argument) {
        if constexpr (interruptible) (*static_cast<unblock_type*>(argument))();
      },
      const_cast<std::remove_cv_t<unblock_type>*>(&unblock), RB_NOGVL_INTR_FAIL);
  return todo.ran;
}

/// without_gvl runs `work` with the GVL released, and returns its result.
///
///  1. Runs pending interrupts; throws ruby_error if one of them raises or unwinds.
///  2. Releases the GVL. Other threads of this Ractor can run.
///  3. Calls `work`, which must not call Ruby. If an interrupt arrives, another thread calls
///     `unblock`, possibly before `work` has begun, and possibly several times.
///  4. Reacquires the GVL.
///  5. If `work` threw, rethrows the exception with the lock held.
///  6. Returns. Interrupts that arrived in the meantime are still pending: call `check_interrupts`
///     where your state allows it.
///
/// In the main thread before Ruby 3.3, if there is an `unblock`, a Ruby thread "kino signals" runs
/// for the duration of the call; otherwise a signal might not interrupt it
/// (detail/ruby/signals.hpp).
///
/// `unblock` makes `work` return soon. It must be sticky (a flag and a wake-up, not a wake-up
/// alone), take only leaf locks, and not call Ruby. Pass `kino::uninterruptible` instead if the
/// work is short or cannot be stopped.
template <class Work, class Unblock>
auto without_gvl(gvl const& held, Work&& work, Unblock&& unblock)
    -> std::invoke_result_t<Work&> {
  using result = std::invoke_result_t<Work&>;
  using stored = std::conditional_t<std::is_void_v<result>, char, result>;
  std::optional<stored> value;
  std::exception_ptr thrown;
  auto guarded = [&]() noexcept {
    try {
      if constexpr (std::is_void_v<result>) {
        work();
        value.emplace();
      } else {
        value.emplace(work());
      }
    } catch (...) {
      thrown = std::current_exception();
    }
  };
  constexpr bool interruptible =
      !std::is_same_v<std::remove_cvref_t<Unblock>, uninterruptible_t>;
  auto wake = [&]() noexcept {
    if constexpr (interruptible) unblock();
  };
  // Also checked before: an earlier interrupt that Thread.handle_interrupt defers with
  // `:on_blocking` is delivered only here, and does not prevent try_without_gvl from starting.
  for (bool ran = false; !ran;) {
    held.check_interrupts();
    std::optional<detail::signal_sleeper> signals;
    if constexpr (interruptible) signals.emplace();
    ran = try_without_gvl(held, guarded, wake);
  }
  if (thrown) std::rethrow_exception(thrown);
  if constexpr (!std::is_void_v<result>) return std::move(*value);
}

KINO_NAMESPACE_END
