// SPDX-License-Identifier: MIT

#include <kino/notifier.hpp>

#include <kino/native_thread.hpp>

#include "../support/in_child.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <csignal>

#include <poll.h>

namespace {

bool readable(kino::notifier const& wake, int milliseconds = 0) {
  pollfd watched{wake.fd(), POLLIN, 0};
  return poll(&watched, 1, milliseconds) == 1;
}

kino::notifier* for_the_handler = nullptr;

}  // namespace

TEST_CASE("the descriptor is readable from the first notification until it is consumed") {
  kino::notifier wake;
  CHECK(!readable(wake));
  CHECK(!wake.consume());
  wake.notify();
  wake.notify();
  CHECK(readable(wake));
  CHECK(readable(wake));
  CHECK(wake.consume());
  CHECK(!readable(wake));
  CHECK(!wake.consume());
  wake.notify();
  CHECK(readable(wake));
}

TEST_CASE("a notification ends a poll in another thread") {
  kino::notifier wake;
  std::atomic<bool> ended{false};
  {
    kino::native_thread const poller([&](std::stop_token stop) {
      std::stop_callback const on_stop(stop, [&] { wake.notify(); });
      ended = readable(wake, -1) && wake.consume();
    });
  }
  CHECK(ended);
}

TEST_CASE("no notification is lost, and earlier writes are visible after it") {
  kino::notifier wake;
  kino::notifier back;
  long value = 0;  // not atomic: ThreadSanitizer checks the order
  constexpr long last = 10'000;
  kino::native_thread const other([&](std::stop_token) {
    for (long turn = 1; turn <= last; turn += 2) {
      while (!wake.consume()) readable(wake, -1);
      CHECK(value == turn);
      value = turn + 1;
      back.notify();
    }
  });
  for (long turn = 0; turn < last; turn += 2) {  // after a lost one, the poll never ends
    CHECK(value == turn);
    value = turn + 1;
    wake.notify();
    while (!back.consume()) readable(back, -1);
  }
  CHECK(value == last);
}

TEST_CASE("notifications of several threads are all consumed") {
  kino::notifier wake;
  std::atomic<long> work{0};
  constexpr long each = 5'000;
  auto add = [&](std::stop_token) {
    for (long i = 0; i < each; ++i) {
      ++work;
      wake.notify();
    }
  };
  kino::native_thread const one(add);
  kino::native_thread const other(add);
  long done = 0;
  while (done < 2 * each) {
    while (!wake.consume()) readable(wake, -1);
    done += work.exchange(0);
  }
  CHECK(done == 2 * each);
}

TEST_CASE("a signal handler may notify, which preserves errno") {
  kino::notifier wake;
  for_the_handler = &wake;
  auto const before = std::signal(SIGUSR2, [](int) { for_the_handler->notify(); });
  errno = ERANGE;
  std::raise(SIGUSR2);
  CHECK(errno == ERANGE);
  std::signal(SIGUSR2, before);
  CHECK(readable(wake));
}

TEST_CASE("a forked child neither notifies its parent nor consumes its notification") {
  kino::notifier wake;
  CHECK(in_child([&] {
    wake.notify();
    return true;
  }));
  CHECK(!readable(wake));
  wake.notify();
  CHECK(in_child([&] { return !wake.consume(); }));
  CHECK(readable(wake));
}
