// SPDX-License-Identifier: MIT
//
// Who holds the GVL: a token that proves it, and the way out of it and back.

#pragma once

#include <kino/detail/ruby/headers.hpp>
#include <kino/detail/ruby/signals.hpp>
#include <kino/ruby_features.hpp>

#include <cstring>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include <pthread.h>
#include <unistd.h>

KINO_NAMESPACE_BEGIN

namespace detail {
struct gvl_of_call;
}

/// A ruby_error is a Ruby exception, `throw` or `Thread#kill` on its way through C++ frames.
///
/// It is thrown where a protected Ruby call was left, and turned back by the method boundary
/// (extension.hpp) once every C++ frame is unwound. It is no std::exception, so that a handler
/// for those does not swallow a Thread#kill or a Timeout; a `catch (...)` must rethrow it. The
/// exception itself stays with the thread (`$!`) until the boundary: Ruby code that runs before,
/// in a destructor or a catch block, runs inside `kino::protect`, which keeps it.
class ruby_error {
public:
  /// `state` is what rb_protect reported.
  explicit ruby_error(int state) noexcept : state_(state) {}
  /// What rb_protect reported, for rb_jump_tag.
  [[nodiscard]] int state() const noexcept { return state_; }

private:
  int state_;
};

/// A gvl proves that this thread is a Ruby thread and holds its Ractor's GVL.
///
/// A function that needs the lock takes a `gvl const&`; so the question is answered by the
/// signature. Methods and KINO_EXTENSION get theirs from kino. Do not store one.
///
/// There is one GVL per Ractor: holding it protects nothing that two Ractors share.
class gvl {
public:
  /// Claims the proof without one: for C callbacks that Ruby calls. Checked: ends the program in
  /// a native thread, or where the GVL is released.
  [[nodiscard]] static gvl assume() noexcept {
    KINO_ASSERT(detail::holds_gvl(),
                "gvl::assume() is for callbacks that Ruby calls: this thread does not hold the "
                "GVL; hand work to a Ruby thread with a channel or a dispatcher");
    return gvl();
  }

  /// Runs what waits for this thread: signal handlers, Thread#raise, Thread#kill, Timeout.
  /// Throws ruby_error if one of them leaves.
  void check_interrupts() const;

private:
  friend struct detail::gvl_of_call;
  gvl() = default;
};

namespace detail {

// The proof where Ruby has just called a method of ours: nothing to check.
struct gvl_of_call {
  static gvl get() noexcept { return gvl(); }
};

// rb_protect, which keeps the Ruby exception that is on its way through C++, if there is one,
// unless `function` raises another: Ruby's `rescue` forgets it, and rb_ensure puts it back.
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

}  // namespace detail

/// protect calls `body`, in which Ruby may raise, and throws ruby_error if it does.
///
/// Ruby leaves `body` by longjmp, so nothing in it may have a destructor that matters. Returns
/// what `body` returns: a VALUE, or nothing. What `body` throws in C++, of another protect too, is
/// thrown here, with Ruby's own frames left in order: C++ code may be called inside. A block or
/// callback that Ruby calls in between needs `kino::boundary` (extension.hpp).
///
/// Example (needs Ruby):
///
///     VALUE text = kino::protect(held, [&] { return rb_obj_as_string(object); });
///
template <class Body>
auto protect(gvl const&, Body&& body) -> std::invoke_result_t<Body&> {
  using result = std::invoke_result_t<Body&>;
  static_assert(std::is_void_v<result> || std::is_same_v<result, VALUE>,
                "the body of kino::protect must return a VALUE or void");
  struct call {
    std::remove_reference_t<Body>* body;
    std::exception_ptr thrown;
  } todo{&body, nullptr};
  // No C++ exception may leave it: Ruby's frames, which no unwinder takes back, lie below.
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
                          : detail::protect_keeping_error(function, argument, state);
  if (state) throw ruby_error(state);
  if (todo.thrown) std::rethrow_exception(std::move(todo.thrown));
  if constexpr (!std::is_void_v<result>) return value;
}

inline void gvl::check_interrupts() const {
  protect(*this, [] { rb_thread_check_ints(); });
}

namespace detail {

// Gives the native thread the name of the Ruby thread that it belongs to: a native thread starts with
// its creator's, and Ruby renames only those that were never shared. May raise.
inline void name_native_thread() {
#ifdef __linux__
  if (gettid() == getpid()) return;  // its name is the process's
  VALUE name = rb_funcall(rb_thread_current(), rb_intern("name"), 0);
  if (NIL_P(name)) return;
  char text[16] = {};  // all that Linux takes
  std::strncpy(text, StringValueCStr(name), sizeof text - 1);
  pthread_setname_np(pthread_self(), text);
#endif
}

// Keeps the current Ruby thread on its native thread for good, where Ruby can. Without that,
// threads of non-main Ractors share a few native threads and starve each other in long waits.
inline void pin_thread() {
  using namespace kino_newer_ruby;
  static_cast<void>(rb_thread_lock_native_thread());
  if constexpr (ruby_pins_threads) name_native_thread();
}

}  // namespace detail

/// pin_thread keeps the calling Ruby thread on its native thread for good, where Ruby can (3.4).
///
/// Threads of other Ractors than the main one share a few native threads, RUBY_MAX_CPU of them
/// (8 by default): more do not run in parallel, and who waits in native code keeps others from
/// running at all. Workers of a dispatcher are pinned by `join`; pin other threads that compute
/// or wait for long. Create the next Ractor only after the one before is pinned: on Ruby 3.4
/// and 4.0, pinning the only shared native thread while others wait to be started can hang.
/// The native thread gets the Ruby thread's name, as `ps -T` and `top -H` show it (Linux).
inline void pin_thread(gvl const& held) {
  protect(held, [] { detail::pin_thread(); });
}

/// Says aloud that a piece of work cannot be woken: Ctrl-C, Timeout and Thread#kill wait for it.
struct uninterruptible_t {};
/// The one value of that type, to be passed in place of an unblock function.
inline constexpr uninterruptible_t uninterruptible{};

/// try_without_gvl runs `work` with the GVL released, unless an interrupt is pending: it returns
/// whether `work` ran.
///
/// The steps 2 to 4 of `without_gvl`, for code in which no Ruby code may run or nothing may raise: a trap, an
/// exit handler, a loop that looks at interrupts where its own state allows it. Neither `work` nor
/// `unblock` may throw; `unblock` is called by any thread, with locks of Ruby's held, any number of
/// times, even before `work` has started, and must only wake it. Never throws.
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
  static_assert(noexcept(work()), "Ruby's frames lie below: the work of try_without_gvl is noexcept");
  if constexpr (interruptible) {
    static_assert(noexcept(unblock()), "Ruby's frames lie below: an unblock function is noexcept");
  }
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

/// without_gvl runs `work` with the GVL released, and returns what it returns.
///
///  1. If interrupts are pending, runs them; throws ruby_error if one of them leaves.
///  2. Releases the GVL. Other threads of this Ractor run.
///  3. Calls `work`. It must not touch Ruby. If an interrupt arrives meanwhile, another thread
///     calls `unblock`, perhaps before `work` has begun, perhaps several times.
///  4. Takes the GVL again.
///  5. If `work` threw, rethrows that here, with the lock held.
///  6. Returns. Interrupts that came meanwhile are still pending: `check_interrupts` them where
///     your state allows it.
///
/// In the main thread, before Ruby 3.3, a Ruby thread "kino signals" lives as long as the call
/// if there is an `unblock`: without it a signal might not interrupt (detail/ruby/signals.hpp).
///
/// `unblock` makes `work` return soon; it must be sticky (a flag and a wake-up, not a wake-up
/// alone), take leaf locks at most, and not touch Ruby. Pass `kino::uninterruptible` instead if
/// the work is short or cannot be stopped.
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
  // Checked before, too: Thread.handle_interrupt's `:on_blocking` lets through only here what
  // came earlier, and that does not keep try_without_gvl from starting.
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
