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

// Work that runs until it is asked to stop, and says that it has ended.
auto until_stopped(std::atomic<int>& ended) {
  return [&ended](std::stop_token stop) {
    await([&] { return stop.stop_requested(); });
    ++ended;
  };
}

}  // namespace

TEST_CASE("destruction asks the work to stop and waits for its end") {
  std::atomic<int> ended{0};
  { kino::native_thread const thread(until_stopped(ended)); }
  CHECK(ended == 1);
}

TEST_CASE("assignment ends the thread that was there and keeps the other") {
  std::atomic<int> first{0};
  std::atomic<int> second{0};
  kino::native_thread thread(until_stopped(first));
  thread = kino::native_thread(until_stopped(second));
  CHECK(first == 1);
  CHECK(thread.joinable());
  kino::native_thread const moved(std::move(thread));
  CHECK(!thread.joinable());  // NOLINT: it says so itself
  CHECK(moved.joinable());
  CHECK(second == 0);
}

TEST_CASE("a thread that was joined is gone") {
  std::atomic<int> ended{0};
  kino::native_thread thread(until_stopped(ended));
  CHECK(thread.request_stop());
  CHECK(!thread.request_stop());
  thread.join();
  CHECK(ended == 1);
  CHECK(!thread.joinable());
  CHECK(!thread.request_stop());
}

TEST_CASE("what leaves the work is thrown by join, and is nobody's death when nobody joins") {
  auto fail = [](std::stop_token) { throw std::runtime_error("no such disk"); };
  kino::native_thread thread(fail);
  CHECK_THROWS_WITH(thread.join(), "no such disk");
  CHECK(!thread.joinable());
  { kino::native_thread const not_joined(fail); }
  { kino::native_thread const other([](std::stop_token) { throw 42; }); }
}

TEST_CASE("any thread may wait for the end, also after the owner is gone") {
  std::optional<kino::native_thread::end> end;
  std::atomic<int> ended{0};
  {
    kino::native_thread const thread(until_stopped(ended));
    end.emplace(thread.ended());
    CHECK(!end->ready());
  }
  CHECK(end->wait().answered());
}

TEST_CASE("the work may destroy the owner of its thread") {
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

TEST_CASE("signals are blocked in it") {
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
