// SPDX-License-Identifier: MIT
//
// A value whose move can fail or block, like a producer that runs out of memory or is preempted while it pushes.

#pragma once

#include <functional>
#include <new>
#include <utility>

struct fragile {
  int number = 0;
  std::function<void()> when_moved;  // called by the next move out of this value, once

  fragile() = default;
  explicit fragile(int n) : number(n) {}
  fragile(int n, std::function<void()> hook) : number(n), when_moved(std::move(hook)) {}

  fragile(fragile&& other) {  // NOLINT: throwing is its purpose
    if (other.when_moved) std::exchange(other.when_moved, nullptr)();
    number = std::exchange(other.number, -1);
  }
  fragile& operator=(fragile&& other) noexcept {
    number = std::exchange(other.number, -1);
    return *this;
  }

  static void out_of_memory() { throw std::bad_alloc(); }
};
