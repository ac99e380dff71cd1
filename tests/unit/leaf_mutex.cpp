// SPDX-License-Identifier: MIT

#include <kino/leaf_mutex.hpp>

#include "../support/in_child.hpp"

#include <doctest/doctest.h>

#include <mutex>
#include <thread>
#include <vector>

TEST_CASE("one thread at a time holds the mutex") {
  kino::leaf_mutex mutex;
  long total = 0;  // not atomic: ThreadSanitizer checks the order
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 10'000; ++n) {
        std::lock_guard guard(mutex);
        ++total;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(total == 40'000);
}

TEST_CASE("try_lock fails while the mutex is locked") {
  kino::leaf_mutex mutex;
  CHECK(mutex.try_lock());
  CHECK(!mutex.try_lock());
  mutex.unlock();
  CHECK(mutex.try_lock());
  mutex.unlock();
}

TEST_CASE("a mutex locked by the parent is unlocked in a forked child") {
  kino::leaf_mutex mutex;
  std::lock_guard guard(mutex);
  CHECK(in_child([&] { return mutex.try_lock() && !mutex.try_lock(); }));
  CHECK(!mutex.try_lock());
}
