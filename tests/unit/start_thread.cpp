// SPDX-License-Identifier: MIT

#include <kino/start_thread.hpp>

#include "../support/in_child.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <memory>

namespace {

sigset_t mask_of_this_thread() {
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return mask;
}

}  // namespace

TEST_CASE("a started thread blocks signals, and its creator's mask does not change") {
  sigset_t inside;
  sigemptyset(&inside);
  sigset_t const before = mask_of_this_thread();
  kino::start_thread([&] { inside = mask_of_this_thread(); }).join();
  sigset_t const after = mask_of_this_thread();
  for (int signal = 1; signal < NSIG; ++signal) {
    CAPTURE(signal);
    CHECK(sigismember(&after, signal) == sigismember(&before, signal));
  }
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD, SIGALRM,
                     SIGVTALRM, SIGPIPE, SIGWINCH}) {
    CAPTURE(signal);
    CHECK(sigismember(&inside, signal) == 1);
  }
}

TEST_CASE("a fault in a started thread reaches the signal handler") {
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) {
    CAPTURE(fault);
    CHECK(in_child([fault] {
      struct sigaction report {};
      report.sa_handler = [](int) { _exit(0); };
      sigaction(fault, &report, nullptr);
      kino::start_thread([fault] { pthread_kill(pthread_self(), fault); }).join();
      return false;
    }));
  }
}

TEST_CASE("the function of a thread may be move-only") {
  int answer = 0;
  kino::start_thread([&, given = std::make_unique<int>(42)] { answer = *given; }).join();
  CHECK(answer == 42);
}
