// SPDX-License-Identifier: MIT
//
// Threads that Ruby does not know, and that its signals do not meet.

#pragma once

#include <kino/detail/atomic.hpp>

#include <csignal>
#include <utility>

KINO_NAMESPACE_BEGIN

/// start_thread starts a thread in which no signal is delivered, and otherwise is std::thread.
///
/// A signal goes to any thread of the process that does not block it. In one of ours it would
/// cut short a system call that nobody repeats, and Ruby's handler would run on a stack that was
/// measured for something else; so all of them stay with Ruby's threads. The mask is set before
/// the thread is there: no instruction of `work` runs without it.
///
/// Threads: any.
/// GVL:     not needed; the new thread never has it.
/// Throws:  std::system_error, with the caller's mask as it was.
/// Fork:    the thread is not in the child.
///
/// Example:
///
///     int answer = 0;
///     kino::start_thread([&] { answer = 42; }).join();
///     assert(answer == 42);
///
template <class Work>
[[nodiscard]] detail::thread start_thread(Work&& work) {
  struct masked {
    sigset_t before;
    masked() {
      sigset_t all;
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, &before);
    }
    ~masked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
  } const inherited;
  return detail::thread(std::forward<Work>(work));
}

KINO_NAMESPACE_END
