// SPDX-License-Identifier: MIT
//
// The seam for the model checker: every lock-free part of kino names its atomics, its mutex and
// its condition variable through this header, so tests/model can put instrumented ones there.

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

// Leaf locks only: nothing that can reach Ruby, allocate a Ruby object or block runs under one.
using mutex = std::mutex;
using lock = std::unique_lock<std::mutex>;
using condition = std::condition_variable;
using thread = std::thread;

}  // namespace detail
KINO_NAMESPACE_END

#endif
