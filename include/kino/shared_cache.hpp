// SPDX-License-Identifier: MIT
//
// shared_cache<T>: a bounded cache that computes each value once while other callers wait.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/detail/bounded_store.hpp>
#include <kino/detail/flight_table.hpp>
#include <kino/shared_answer.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

KINO_NAMESPACE_BEGIN

/// A shared_cache keeps the `capacity` most recently used values by key.
///
/// The first caller that misses a key computes its value; concurrent callers for the same key wait
/// for that value instead of computing it again. If the computation throws, its caller gets the
/// exception, and one of the waiting callers computes next. A computation may fetch other keys. If
/// it fetches its own key, or one whose computation waits for it, `fetch` throws instead of
/// deadlocking.
///
/// Keys are bytes and may come from untrusted sources: keys whose hashes collide evict each other,
/// so a look-up examines at most 16 values. T must be nothrow copyable and nothrow movable, and its
/// copy constructor must not lock or allocate: use a small T, or a std::shared_ptr<const M>. For
/// Ruby objects, use shareable_cache.
///
/// Threads:    any thread, any Ractor, concurrently. It must not be in use when it is destroyed.
/// GVL:        never needed. A thread that holds it uses kino::fetch(held, cache, key, compute) of
///             wait.hpp instead of `fetch`. ~T runs in any of the threads: it must not need Ruby.
/// Blocks:     `fetch`, while another caller computes; the other members only take a leaf mutex.
/// Throws:     std::bad_alloc; `fetch` also throws what `compute` throws, and std::system_error with
///             std::errc::resource_deadlock_would_occur.
/// Order:      effects before a computation returned are visible to all callers that get the value.
/// Fork:       a child starts with an empty cache. A computation that forks continues in both
///             processes, and only the parent keeps its value.
///
/// Example:
///
///     kino::shared_cache<int> lengths(100);
///     int computed = 0;
///     auto length = [&](std::string const& word) {
///       return lengths.fetch(word, [&] { ++computed; return static_cast<int>(word.size()); });
///     };
///     assert(length("amber") == 5 && length("amber") == 5);
///     assert(computed == 1);
///     assert(lengths.find("amber") == 5 && !lengths.find("jet"));
///     assert(lengths.erase("amber") && lengths.size() == 0);
///
template <class T>
class shared_cache {
  static_assert(std::is_nothrow_copy_constructible_v<T> && std::is_nothrow_move_constructible_v<T>,
                "values are copied under a lock: use a std::shared_ptr<const T>");

public:
  /// Creates a cache for at most `capacity` values. Throws std::invalid_argument unless that is
  /// between 1 and 2147483647. Allocates 8 to 16 bytes for each of them immediately.
  explicit shared_cache(std::size_t capacity)
      : capacity_(detail::checked_capacity(capacity)), current_(new table(capacity)) {}
  shared_cache(shared_cache const&) = delete;
  shared_cache& operator=(shared_cache const&) = delete;
  ~shared_cache() {
    // relaxed: this is the last user. An inherited table may be in any state, so a child leaks it.
    table* const last = current_.load(std::memory_order_relaxed);
    if (!last->forked()) delete last;
  }

  /// The value of `key`; calls `compute()` if it is not cached and no other caller computes it.
  template <class Compute>
  [[nodiscard]] T fetch(std::string_view key, Compute&& compute) {
    return fetch_as(detail::this_thread(), key, compute,
                    [](shared_answer<bool> const& over) { static_cast<void>(over.wait()); });
  }

  /// The value of `key` if it is cached; counts as a use.
  [[nodiscard]] std::optional<T> find(std::string_view key) { return current().find(key); }

  /// Removes the value of `key`; returns whether it was cached or is being computed. In the latter
  /// case, callers that already wait get the value, and later ones do not.
  bool erase(std::string_view key) { return current().erase(key); }

  /// Number of cached values; may be stale on return.
  [[nodiscard]] std::size_t size() { return current().size(); }

  /// For wait.hpp: `fetch` by the thread `caller`, which waits by calling `wait(answer)`.
  template <class Compute, class Wait>
  T fetch_as(std::uintptr_t caller, std::string_view key, Compute& compute, Wait wait);

  /// For shareable_cache: calls `visit(value)` under the lock for each value that the cache or a
  /// waiting caller may still return. Visits none in a forked child that has not used the cache.
  template <class Visit>
  void for_each_value(Visit visit) const {
    table& seen = *current_.load(std::memory_order_acquire);  // pairs with current()
    if (!seen.forked()) seen.for_each_value(visit);
  }

private:
  using table = detail::flight_table<T>;

  table& current() {
    // acquire: pairs with the exchange below, which another thread of this child may have made.
    table* seen = current_.load(std::memory_order_acquire);
    if (!seen->forked()) [[likely]] return *seen;
    auto* const fresh = new table(capacity_);
    // The inherited table is leaked: another thread of the parent may have been changing it.
    if (current_.compare_exchange_strong(seen, fresh, std::memory_order_acq_rel,
                                         std::memory_order_acquire)) {
      return *fresh;
    }
    delete fresh;
    return *seen;
  }

  std::size_t const capacity_;
  detail::atomic<table*> current_;
};

// --- implementation ---------------------------------------------------------

template <class T>
template <class Compute, class Wait>
T shared_cache<T>::fetch_as(std::uintptr_t caller, std::string_view key, Compute& compute,
                            Wait wait) {
  table& in = current();
  if (std::optional<T> known = in.find(key)) return *std::move(known);
  // Everything that a computation needs is allocated here, before it is announced. The key is
  // copied: its bytes may belong to Ruby, and this function may wait.
  auto ends = make_shared_response<bool>();
  typename table::entries fresh;
  fresh.emplace_back(key, caller, ends.answer);
  std::string const& wanted = fresh.front().key;
  for (;;) {
    typename table::participant mine(in, caller);  // destroyed before `ends`: woken callers see a failure
    switch (mine.take(fresh, wanted)) {
      case detail::fetching::found: return mine.value();
      case detail::fetching::waits:
        wait(mine.over());
        if (mine.over().wait().answered()) return mine.value();
        break;  // That caller failed.
      case detail::fetching::computes: {
        T value = compute();
        mine.keep(value);
        ends.respond.answer(true);
        return value;
      }
    }
  }
}

KINO_NAMESPACE_END
