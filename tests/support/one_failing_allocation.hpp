// SPDX-License-Identifier: MIT
//
// An allocation of the test's thread that fails. Only one file of a program may include it: it replaces operator new.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace allocation_test {

/// How many allocations of this thread are left; the last of them fails. 0: none does.
inline thread_local std::uint32_t allocations_left = 0;

}  // namespace allocation_test

// Not inlined: g++ would see new without its delete and warn.
[[gnu::noinline]] void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
  using allocation_test::allocations_left;
  bool const fails = allocations_left != 0 && --allocations_left == 0;
  return fails ? nullptr : std::malloc(size);
}
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* const place = operator new(size, std::nothrow)) return place;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* place) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete(void* place, std::size_t) noexcept { std::free(place); }
