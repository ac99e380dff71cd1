// SPDX-License-Identifier: MIT
//
// start_thread: starts a std::thread with asynchronous signals blocked.

#pragma once

#include <kino/detail/atomic.hpp>

#include <csignal>
#include <initializer_list>
#include <utility>

KINO_NAMESPACE_BEGIN

/// start_thread starts a std::thread with asynchronous signals blocked.
///
/// The kernel delivers a signal sent to the process to any thread that does not block it. In a
/// native thread, it would interrupt a system call (EINTR) that is not restarted, and Ruby's
/// handler would run on a stack of unknown size. Blocking leaves all such signals to Ruby's
/// threads. The mask is set before the thread exists: no instruction of `work` runs without it.
///
/// Signals caused by a fault of the thread itself (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS,
/// SIGABRT) are not blocked: a blocked one would end the process without running the handler that
/// reports the crash.
///
/// Threads: any.
/// GVL:     not needed; the new thread never has it.
/// Throws:  std::system_error; the caller's signal mask is restored.
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
      sigset_t asynchronous;
      sigfillset(&asynchronous);
      for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) {
        sigdelset(&asynchronous, fault);
      }
      pthread_sigmask(SIG_SETMASK, &asynchronous, &before);
    }
    ~masked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
  } const inherited;
  return detail::thread(std::forward<Work>(work));
}

KINO_NAMESPACE_END
