// SPDX-License-Identifier: MIT

#include <kino/detail/bounded_store.hpp>

#include "../support/fragile.hpp"

#include <doctest/doctest.h>

#include <array>
#include <deque>
#include <memory>
#include <new>
#include <stdexcept>
#include <utility>

using kino::detail::bounded_store;
using kino::detail::store_pop;
using kino::detail::store_push;

namespace {

// A queue that is out of memory on request, and finds a value only at the second attempt.
template <class T>
struct reluctant_queue {
  static inline bool out_of_memory = false;
  std::deque<T> values;
  bool refuse_next = true;

  bool enqueue(T&& value) {
    if (out_of_memory) return false;
    values.push_back(std::move(value));
    return true;
  }
  bool try_dequeue(T& out) {
    if (std::exchange(refuse_next, !refuse_next) || values.empty()) return false;
    out = std::move(values.front());
    values.pop_front();
    return true;
  }
};

}  // namespace

TEST_CASE("a capacity must be between 1 and 2147483647") {
  CHECK_THROWS_AS(bounded_store<int>(0), std::invalid_argument);
  CHECK_THROWS_AS(bounded_store<int>(std::size_t{1} << 31), std::invalid_argument);
  CHECK(bounded_store<int>(1).capacity() == 1);
}

TEST_CASE("a store counts exactly") {
  bounded_store<int> store{2};
  CHECK(!store.has_ready());
  CHECK(store.has_room());
  CHECK(store.try_push(1) == store_push::pushed);
  CHECK(store.has_ready());
  CHECK(store.try_push(2) == store_push::pushed);
  CHECK(!store.has_room());
  CHECK(store.size() == 2);
  CHECK(store.try_push(3) == store_push::full);
  int out = 0;
  CHECK(store.try_pop(out) == store_pop::popped);
  CHECK(store.has_room());
  CHECK(store.try_pop(out) == store_pop::popped);
  CHECK(store.try_pop(out) == store_pop::empty);
}

TEST_CASE("a store closes once and is finished when it is closed and empty") {
  bounded_store<int> store{2};
  CHECK(store.try_push(1) == store_push::pushed);
  CHECK(!store.finished());
  CHECK(store.close());
  CHECK(!store.close());
  CHECK(store.closed());
  CHECK(!store.finished());
  CHECK(store.try_push(2) == store_push::closed);
  int out = 0;
  CHECK(store.try_pop(out) == store_pop::popped);
  CHECK(store.finished());
  CHECK(store.try_pop(out) == store_pop::finished);
}

TEST_CASE("an empty store is finished as soon as it is closed") {
  bounded_store<int> store{1};
  CHECK(store.close());
  CHECK(store.finished());
}

TEST_CASE("a push to a closed and full store returns closed") {
  bounded_store<int> store{1};
  CHECK(store.try_push(1) == store_push::pushed);
  CHECK(store.close());
  CHECK(store.try_push(2) == store_push::closed);
}

TEST_CASE("if the queue is out of memory, a push throws and keeps the value") {
  using queue = reluctant_queue<std::unique_ptr<int>>;
  bounded_store<std::unique_ptr<int>, queue> store{1};
  auto value = std::make_unique<int>(1);
  queue::out_of_memory = true;
  CHECK_THROWS_AS(static_cast<void>(store.try_push(std::move(value))), std::bad_alloc);
  queue::out_of_memory = false;
  CHECK(value);
  CHECK(store.has_room());
  CHECK(!store.has_ready());
  CHECK(store.try_push(std::move(value)) == store_push::pushed);
  CHECK(!value);
}

TEST_CASE("a push whose move throws releases its place, so a closed store is finished") {
  bounded_store<fragile> store{1};
  fragile value(1, [&] {
    CHECK(store.close());
    CHECK(!store.finished());
    fragile::out_of_memory();
  });
  CHECK_THROWS_AS(static_cast<void>(store.try_push(std::move(value))), std::bad_alloc);
  CHECK(value.number == 1);
  CHECK(store.finished());
}

TEST_CASE("a pop retries until the queue finds the value that it has reserved") {
  bounded_store<int, reluctant_queue<int>> store{4};
  for (int i = 1; i <= 3; ++i) CHECK(store.try_push(std::move(i)) == store_push::pushed);
  int out = 0;
  CHECK(store.try_pop(out) == store_pop::popped);
  CHECK(out == 1);
  std::array<int, 2> rest{};
  CHECK(store.try_pop_bulk(rest.begin(), 9) == 2);
  CHECK(rest == std::array<int, 2>{2, 3});
}

TEST_CASE("a bulk pop takes the ready values, up to the requested number") {
  bounded_store<int> store{8};
  for (int i = 0; i < 5; ++i) CHECK(store.try_push(std::move(i)) == store_push::pushed);
  std::array<int, 8> out{};
  CHECK(store.try_pop_bulk(out.begin(), 0) == 0);
  CHECK(store.try_pop_bulk(out.begin(), 3) == 3);
  CHECK(store.try_pop_bulk(out.begin(), 8) == 2);
  CHECK(store.try_pop_bulk(out.begin(), 8) == 0);
  CHECK(out[0] == 3);
  CHECK(out[1] == 4);
}
