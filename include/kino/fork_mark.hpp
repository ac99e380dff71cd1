// SPDX-License-Identifier: MIT
//
// fork_mark: how an object learns that it is in a forked child, where its threads do not exist.

#pragma once

#include <kino/detail/config.hpp>

#include <atomic>
#include <cstdint>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <system_error>

KINO_NAMESPACE_BEGIN
namespace detail {

// Not detail/atomic.hpp's: it outlives what a model checker runs.
inline std::atomic<std::uint32_t>& fork_count() {
  static std::atomic<std::uint32_t> count{0};
  return count;
}

// Registered once per extension; the handler only counts, so it is safe in any child.
inline void count_forks() {
  static bool const registered = [] {
    int const failed = pthread_atfork(nullptr, nullptr, [] {
      // relaxed: a child starts with one thread.
      fork_count().fetch_add(1, std::memory_order_relaxed);
    });
    if (failed) throw std::system_error(failed, std::generic_category(), "pthread_atfork");
    return true;
  }();
  static_cast<void>(registered);
}

}  // namespace detail

/// A fork_mark remembers the process in which it was made.
///
/// Only the thread that forks exists in the child. There, an object that waits for another thread,
/// joins one, or locks a mutex that another may have held, waits for ever. Give such an object a
/// fork_mark and ask it first. It costs one load; a process that forks through vfork or posix_spawn
/// to run another program is not counted.
///
/// Threads: any.
/// GVL:     never needed.
/// Blocks:  never.
/// Throws:  std::system_error, from the constructor (no memory for a fork handler).
/// Fork:    that is the question; a mark that is made in a child belongs to the child.
///
/// Example:
///
///     class mailbox {
///     public:
///       void wait() { born.expect_same_process("mailbox"); }
///       ~mailbox() {
///         if (born.forked()) return;  // who would have to be joined is not here
///       }
///     private:
///       kino::fork_mark const born;
///     };
///     mailbox().wait();
///
class fork_mark {
public:
  fork_mark() { detail::count_forks(); }
  /// Whether this is a child, or a child's child, of the process that made it.
  [[nodiscard]] bool forked() const noexcept {
    return detail::fork_count().load(std::memory_order_relaxed) != mark_;  // as in count_forks
  }
  /// Throws std::runtime_error in a forked child: "kino: this `what` was made before fork; make one
  /// in the child".
  void expect_same_process(char const* what) const {
    if (forked()) [[unlikely]] refuse(what);
  }

private:
  [[noreturn]] static void refuse(char const* what) {
    throw std::runtime_error("kino: this " + std::string(what) +
                             " was made before fork; make one in the child");
  }

  std::uint32_t const mark_ = detail::fork_count().load(std::memory_order_relaxed);
};

KINO_NAMESPACE_END
