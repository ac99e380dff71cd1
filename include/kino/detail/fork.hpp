// SPDX-License-Identifier: MIT
//
// How an object learns that it is now in a forked child, where the threads it knew are gone.

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

/// A fork_mark remembers the process in which it was made.
class fork_mark {
public:
  fork_mark() { count_forks(); }
  bool forked() const {
    return fork_count().load(std::memory_order_relaxed) != mark_;  // as in count_forks
  }
  /// Throws std::runtime_error in a forked child; `what` is the name of the object's kind.
  void expect_same_process(char const* what) const {
    if (forked()) [[unlikely]] refuse(what);
  }

private:
  [[noreturn]] static void refuse(char const* what) {
    throw std::runtime_error("kino: this " + std::string(what) +
                             " was made before fork; make one in the child");
  }

  std::uint32_t const mark_ = fork_count().load(std::memory_order_relaxed);
};

}  // namespace detail
KINO_NAMESPACE_END
