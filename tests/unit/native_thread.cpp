// SPDX-License-Identifier: MIT

#include <kino/native_thread.hpp>

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

TEST_CASE("a thread of ours blocks signals, and its creator blocks none more than before") {
  sigset_t inside;
  sigemptyset(&inside);
  kino::start_thread([&] { inside = mask_of_this_thread(); }).join();
  CHECK(sigismember(&inside, SIGINT) == 1);
  CHECK(sigismember(&inside, SIGVTALRM) == 1);
  sigset_t const here = mask_of_this_thread();
  CHECK(sigismember(&here, SIGINT) == 0);
  CHECK(sigismember(&here, SIGVTALRM) == 0);
}

TEST_CASE("what a thread does may be movable only") {
  int answer = 0;
  kino::start_thread([&, given = std::make_unique<int>(42)] { answer = *given; }).join();
  CHECK(answer == 42);
}
