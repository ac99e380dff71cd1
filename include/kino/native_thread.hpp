// SPDX-License-Identifier: MIT
//
// native_thread: an owned thread with a stop request; its destructor stops and joins it.

#pragma once

#include <kino/detail/blocking.hpp>
#include <kino/fork_mark.hpp>
#include <kino/shared_answer.hpp>
#include <kino/start_thread.hpp>

#include <concepts>
#include <cstdio>
#include <exception>
#include <memory>
#include <stop_token>
#include <thread>
#include <type_traits>
#include <utility>
#include <version>

#ifdef __cpp_lib_jthread  // std::stop_token: libstdc++, and libc++ from 20 on

KINO_NAMESPACE_BEGIN

/// A native_thread is a thread unknown to Ruby, owned by the object that started it.
///
/// Its work is called with a std::stop_token and must return soon after a stop request. A thread
/// that sleeps in poll needs a std::stop_callback that wakes it (notifier.hpp); one that waits for
/// a channel ends when the channel is closed. The destructor requests stop and joins, so the work
/// may refer to its owner: declare the native_thread last, so it ends first.
///
/// A native_object that owns one defines `static constexpr bool ruby_owns_threads = true`. Ruby's
/// collector then passes the object to another thread, which destroys it. The collector therefore
/// never waits, not even for work that waits for Ruby.
///
/// An exception that leaves the work ends only that thread. It is reported on stderr immediately,
/// as Ruby does for its threads, and `join` rethrows it.
///
/// Threads: one at a time; `request_stop` and `ended` any.
/// GVL:     never needed; the work never holds it. The destructor releases the GVL while it waits, and no
///          interrupt ends that wait. `join` must not be called with the GVL held (checked): use
///          kino::join(held, thread).
/// Blocks:  `join` and the destructor.
/// Throws:  the constructor: std::system_error and std::bad_alloc; `join`: what the work threw.
/// Fork:    the thread is not in the child. There `joinable` is false, and destruction and
///          `request_stop` do nothing.
/// Signals: as in start_thread.
///
/// Example:
///
///     kino::channel<int> jobs(16);
///     std::atomic<int> sum{0};
///     {
///       kino::native_thread adder([&](std::stop_token stop) {
///         std::stop_callback wake(stop, [&] { jobs.close(); });
///         int job = 0;
///         while (jobs.pop(job) == kino::pop_result::popped) sum += job;
///       });
///       static_cast<void>(jobs.try_push(40));
///       static_cast<void>(jobs.try_push(2));
///     }  // closed, drained and joined
///     assert(sum == 42);
///
class native_thread {
public:
  /// The end of a thread; `answered()` once its work has returned or thrown.
  using end = shared_answer<std::exception_ptr>;

  /// Creates a native_thread without a thread.
  native_thread() = default;
  /// Starts a thread that calls `work(std::stop_token)`.
  template <class Work>
    requires(!std::same_as<std::remove_cvref_t<Work>, native_thread>)
  explicit native_thread(Work&& work);
  /// Moves the thread; the other object then has none.
  native_thread(native_thread&&) = default;
  /// Stops and joins the current thread, then takes over the other's.
  native_thread& operator=(native_thread&& other) noexcept {
    if (this != &other) {
      finish();
      running_ = std::move(other.running_);
    }
    return *this;
  }
  ~native_thread() { finish(); }

  /// Whether there is a thread to join, in this process.
  [[nodiscard]] bool joinable() const noexcept {
    return running_ && !running_->born.forked();
  }
  /// Asks the work to return; returns whether this call was the first to do so.
  bool request_stop() noexcept { return joinable() && running_->stop.request_stop(); }
  /// Waits until the work has returned; throws what it threw. Only if `joinable()`.
  void join() {
    expect_joinable();
    KINO_ASSERT(running_->thread.get_id() != std::this_thread::get_id(),
                "a thread cannot wait for its own end: its work returns, and its owner joins it");
    if (!running_->end.ready()) detail::check_may_block();
    auto const ended = std::move(running_);
    ended->thread.join();
    if (ended->end.wait().value()) std::rethrow_exception(ended->end.wait().value());
  }
  /// A handle on the end of the thread, for any number of threads. It may outlive this object.
  /// Only if `joinable()`.
  [[nodiscard]] end ended() const {
    expect_joinable();
    return running_->end;
  }

private:
  void expect_joinable() const {
    KINO_ASSERT(joinable(),
                "a native_thread can be joined or stopped only while it is joinable(): started, "
                "not yet joined, and owned by this process");
  }
  struct running {
    std::stop_source stop;
    native_thread::end end;
    fork_mark born;
    std::thread thread;
  };

  template <class Work>
  static std::exception_ptr run(Work& work, std::stop_token stop) noexcept;
  void finish() noexcept;

  std::unique_ptr<running> running_;
};

// --- implementation ---------------------------------------------------------

template <class Work>
  requires(!std::same_as<std::remove_cvref_t<Work>, native_thread>)
native_thread::native_thread(Work&& work) {
  static_assert(std::is_invocable_v<std::decay_t<Work>&, std::stop_token>,
                "the work of a kino::native_thread must take a std::stop_token, so its owner can "
                "stop it");
  auto [ended, respond] = make_shared_response<std::exception_ptr>();
  running_ = std::make_unique<running>(running{{}, std::move(ended), {}, {}});
  running_->thread = start_thread([stop = running_->stop.get_token(), respond = std::move(respond),
                                   todo = std::forward<Work>(work)]() mutable {
    respond.answer(run(todo, std::move(stop)));
  });
}

template <class Work>
std::exception_ptr native_thread::run(Work& work, std::stop_token stop) noexcept {
  try {
    work(std::move(stop));
    return nullptr;
  } catch (std::exception const& error) {
    std::fprintf(stderr, "kino: a native thread ended with an exception: %s\n", error.what());
    return std::current_exception();
  } catch (...) {
    std::fputs("kino: a native thread ended with an exception of unknown type\n", stderr);
    return std::current_exception();
  }
}

inline void native_thread::finish() noexcept {
  if (!running_) return;
  // In a child the thread does not exist, and its id may be that of another thread. Leak its
  // state: a stop callback of the parent's thread must not run here.
  if (running_->born.forked()) return static_cast<void>(running_.release());
  KINO_ASSERT(!detail::in_free_function,
              "a native object that owns a native_thread says so: static constexpr bool ruby_owns_threads = true; "
              "Ruby's collector must not wait for a thread");
  running_->stop.request_stop();
  if (running_->thread.get_id() == std::this_thread::get_id()) {
    running_->thread.detach();  // The work itself destroys its owner and then returns.
  } else {
    detail::wait_outside_gvl([this] { running_->thread.join(); });
  }
  running_.reset();
}

KINO_NAMESPACE_END

#endif
