// SPDX-License-Identifier: MIT
//
// How many threads wait for a condition.

#pragma once

#include <kino/condition.hpp>

#include "private_access.hpp"

#include <cstddef>

using waiter_of_condition = kino::condition::waiter;
KINO_TEST_REACH(first_of, kino::condition, first_)
KINO_TEST_REACH(next_of, waiter_of_condition, next_)
KINO_TEST_REACH(mutex_of, kino::condition, mutex_)

namespace {

std::size_t waiting(kino::condition& changed) {
  kino::detail::lock guard(mutex_of(changed));
  std::size_t count = 0;
  for (auto* each = first_of(changed); each; each = next_of(*each)) ++count;
  return count;
}

}  // namespace
