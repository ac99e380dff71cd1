// SPDX-License-Identifier: MIT
//
// Waits for an event that has no handle. ctest's timeout ends a test whose event never occurs.

#pragma once

#include <thread>

/// Returns when `happened()` is true.
template <class Condition>
void await(Condition happened) {
  while (!happened()) std::this_thread::yield();
}
