// SPDX-License-Identifier: MIT
//
// Included by detail/atomic.hpp under the model checker: implements kino's atomics, locks and sleeps
// with relacy's, so the headers run unchanged in every order of their steps.

#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cassert>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <relacy/relacy.hpp>

// A broken rule is a failed execution, with relacy's history of it.
#undef KINO_ASSERT
#define KINO_ASSERT(condition, rule) RL_ASSERT(condition)

// relacy renames these for programs written for it; the headers under test are not.
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef errno
#undef VAR

KINO_NAMESPACE_BEGIN
namespace detail {

inline rl::memory_order relacy_order(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed: return rl::mo_relaxed;
    case std::memory_order_consume: return rl::mo_consume;
    case std::memory_order_acquire: return rl::mo_acquire;
    case std::memory_order_release: return rl::mo_release;
    case std::memory_order_acq_rel: return rl::mo_acq_rel;
    case std::memory_order_seq_cst: break;
  }
  return rl::mo_seq_cst;
}

template <class T>
class atomic {
public:
  atomic() : atomic(T{}) {}
  atomic(T value) : word_(pack(value)) {}  // NOLINT: implicit, as std::atomic's

  T load(std::memory_order order = std::memory_order_seq_cst) const {
    return unpack(word_.load(relacy_order(order), RL_INFO));
  }
  void store(T value, std::memory_order order = std::memory_order_seq_cst) {
    word_.store(pack(value), relacy_order(order), RL_INFO);
  }
  T exchange(T value, std::memory_order order = std::memory_order_seq_cst) {
    return unpack(word_.exchange(pack(value), relacy_order(order), RL_INFO));
  }
  T fetch_add(T more, std::memory_order order = std::memory_order_seq_cst) {
    return unpack(word_.fetch_add(pack(more), relacy_order(order), RL_INFO));
  }
  T fetch_sub(T less, std::memory_order order = std::memory_order_seq_cst) {
    return unpack(word_.fetch_sub(pack(less), relacy_order(order), RL_INFO));
  }
  T fetch_and(T bits, std::memory_order order = std::memory_order_seq_cst) {
    return unpack(word_.fetch_and(pack(bits), relacy_order(order), RL_INFO));
  }
  T fetch_or(T bits, std::memory_order order = std::memory_order_seq_cst) {
    return unpack(word_.fetch_or(pack(bits), relacy_order(order), RL_INFO));
  }
  bool compare_exchange_weak(T& expected, T value, std::memory_order order) {
    return exchange_if<true>(expected, value, order);
  }
  bool compare_exchange_weak(T& expected, T value, std::memory_order order, std::memory_order) {
    return exchange_if<true>(expected, value, order);
  }
  bool compare_exchange_strong(T& expected, T value, std::memory_order order) {
    return exchange_if<false>(expected, value, order);
  }
  bool compare_exchange_strong(T& expected, T value, std::memory_order order,
                               std::memory_order) {
    return exchange_if<false>(expected, value, order);
  }

private:
  // relacy's own failure order follows from the success order, as in C++.
  template <bool weak>
  bool exchange_if(T& expected, T value, std::memory_order order) {
    std::uint64_t word = pack(expected);
    bool const done = word_.compare_exchange(rl::bool_t<weak>(), word, pack(value),
                                             relacy_order(order), RL_INFO);
    expected = unpack(word);
    return done;
  }

  static std::uint64_t pack(T value) {
    if constexpr (std::is_pointer_v<T>) {
      return reinterpret_cast<std::uintptr_t>(value);
    } else {
      return static_cast<std::uint64_t>(value);
    }
  }
  static T unpack(std::uint64_t word) {
    if constexpr (std::is_pointer_v<T>) {
      return reinterpret_cast<T>(static_cast<std::uintptr_t>(word));
    } else {
      return static_cast<T>(word);
    }
  }

  rl::atomic<std::uint64_t> word_;
};

class mutex {
public:
  void lock() { mutex_.lock(RL_INFO); }
  void unlock() { mutex_.unlock(RL_INFO); }

private:
  friend class condition_variable;
  rl::mutex mutex_;
};

class lock {
public:
  explicit lock(mutex& held) : mutex_(held) { mutex_.lock(); }
  ~lock() { mutex_.unlock(); }
  lock(lock const&) = delete;
  lock& operator=(lock const&) = delete;

private:
  friend class condition_variable;
  mutex& mutex_;
};

// A deadline may pass at any moment, or never.
class condition_variable {
public:
  void wait(lock& held) { condition_.wait(held.mutex_.mutex_, RL_INFO); }
  template <class TimePoint>
  std::cv_status wait_until(lock& held, TimePoint const& until) {
    return condition_.wait_for(held.mutex_.mutex_, until, RL_INFO) ? std::cv_status::no_timeout
                                                                  : std::cv_status::timeout;
  }
  void notify_one() { condition_.notify_one(RL_INFO); }

private:
  rl::condition_variable condition_;
};

// A thread that kino starts runs in the one of relacy's threads that calls `run`, which must
// have ended when it is joined.
class thread {
public:
  thread() = default;
  template <class Body>
  explicit thread(Body body) {
    last_body() = std::move(body);
  }
  static void run() { last_body()(); }
  void join() { last_body() = nullptr; }

private:
  static std::function<void()>& last_body() {
    static std::function<void()> body;
    return body;
  }
};

}  // namespace detail
KINO_NAMESPACE_END
