// SPDX-License-Identifier: MIT
//
// fork_mark: tells an object that it is in a forked child, where its threads do not exist.

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

// A std::atomic, not detail::atomic, because it outlives a run of the model checker.
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

/// A fork_mark records the process in which it was created.
///
/// Only the forking thread exists in the child. There, an object that waits for another thread,
/// joins one, or locks a mutex that another thread may have held, waits forever. Give such an
/// object a fork_mark and check it first. The check costs one load. Forks by vfork or posix_spawn,
/// which run another program, are not counted.
///
/// Threads: any.
/// GVL:     never needed.
/// Blocks:  never.
/// Throws:  std::system_error from the constructor (no memory for a fork handler).
/// Fork:    `forked` is true in the child; a mark created in a child belongs to the child.
///
/// Example:
///
///     class mailbox {
///     public:
///       void wait() { born.expect_same_process("mailbox"); }
///       ~mailbox() {
///         if (born.forked()) return;  // the thread to be joined does not exist here
///       }
///     private:
///       kino::fork_mark const born;
///     };
///     mailbox().wait();
///
class fork_mark {
public:
  fork_mark() { detail::count_forks(); }
  /// Whether this process is a descendant of the process that created the mark.
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
