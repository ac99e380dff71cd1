// SPDX-License-Identifier: MIT

#include <kino/native_thread.hpp>

#include "../support/await.hpp"
#include "../support/in_child.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

namespace {

// Work that runs until it is requested to stop, then counts its end.
auto until_stopped(std::atomic<int>& ended) {
  return [&ended](std::stop_token stop) {
    await([&] { return stop.stop_requested(); });
    ++ended;
  };
}

}  // namespace

TEST_CASE("the destructor requests the work to stop and waits for its end") {
  std::atomic<int> ended{0};
  { kino::native_thread const thread(until_stopped(ended)); }
  CHECK(ended == 1);
}

TEST_CASE("assignment ends the old thread and takes over the new one") {
  std::atomic<int> first{0};
  std::atomic<int> second{0};
  kino::native_thread thread(until_stopped(first));
  thread = kino::native_thread(until_stopped(second));
  CHECK(first == 1);
  CHECK(thread.joinable());
  kino::native_thread const moved(std::move(thread));
  CHECK(!thread.joinable());  // NOLINT: checks the moved-from state
  CHECK(moved.joinable());
  CHECK(second == 0);
}

TEST_CASE("after join, there is no thread to join or to stop") {
  std::atomic<int> ended{0};
  kino::native_thread thread(until_stopped(ended));
  CHECK(thread.request_stop());
  CHECK(!thread.request_stop());
  thread.join();
  CHECK(ended == 1);
  CHECK(!thread.joinable());
  CHECK(!thread.request_stop());
}

TEST_CASE("join rethrows the exception of the work, and without join the program continues") {
  auto fail = [](std::stop_token) { throw std::runtime_error("no such disk"); };
  kino::native_thread thread(fail);
  CHECK_THROWS_WITH(thread.join(), "no such disk");
  CHECK(!thread.joinable());
  { kino::native_thread const not_joined(fail); }
  { kino::native_thread const other([](std::stop_token) { throw 42; }); }
}

TEST_CASE("any thread can wait for the end, even after the owner is destroyed") {
  std::optional<kino::native_thread::end> end;
  std::atomic<int> ended{0};
  {
    kino::native_thread const thread(until_stopped(ended));
    end.emplace(thread.ended());
    CHECK(!end->ready());
  }
  CHECK(end->wait().answered());
}

TEST_CASE("the work can destroy the owner of its thread") {
  struct owner {
    kino::native_thread thread;
  };
  auto shared = std::make_shared<owner>();
  std::atomic<bool> handed_over{false};
  shared->thread = kino::native_thread([&, mine = shared](std::stop_token stop) mutable {
    await([&] { return handed_over.load(); });
    mine.reset();
    CHECK(stop.stop_requested());
  });
  auto const end = shared->thread.ended();
  shared.reset();
  handed_over = true;
  CHECK(end.wait().answered());
}

TEST_CASE("signals are blocked in the thread") {
  sigset_t inside;
  sigemptyset(&inside);
  kino::native_thread([&](std::stop_token) {
    pthread_sigmask(SIG_SETMASK, nullptr, &inside);
  }).join();
  CHECK(sigismember(&inside, SIGINT) == 1);
}

TEST_CASE("a forked child has no thread to stop or to join") {
  std::atomic<int> ended{0};
  bool woken = false;
  auto thread = std::make_unique<kino::native_thread>([&](std::stop_token stop) {
    std::stop_callback const wake(stop, [&] { woken = true; });
    await([&] { return stop.stop_requested(); });
    ++ended;
  });
  CHECK(in_child([&] {
    bool const absent = !thread->joinable() && !thread->request_stop();
    thread.reset();
    return absent && ended == 0 && !woken;
  }));
  thread.reset();
  CHECK(ended == 1);
  CHECK(woken);
}
