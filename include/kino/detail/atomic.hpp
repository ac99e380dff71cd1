// SPDX-License-Identifier: MIT
//
// The seam for the model checker: every lock-free component of kino names its atomics, mutex and
// condition variable through this header, so tests/model can substitute instrumented ones.

#pragma once

#include <kino/detail/config.hpp>

#ifdef KINO_MODEL_CHECKER
#include KINO_MODEL_CHECKER
#else

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

KINO_NAMESPACE_BEGIN
namespace detail {

template <class T>
using atomic = std::atomic<T>;

// Leaf locks only: code under one must not call Ruby, allocate a Ruby object or block.
using mutex = std::mutex;
using lock = std::unique_lock<std::mutex>;
using condition_variable = std::condition_variable;
using thread = std::thread;

}  // namespace detail
KINO_NAMESPACE_END

#endif
