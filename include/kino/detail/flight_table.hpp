// SPDX-License-Identifier: MIT
//
// The state of shared_cache under its lock: values, computations in progress, and waiting callers.

#pragma once

#include <kino/fork_mark.hpp>
#include <kino/leaf_mutex.hpp>
#include <kino/shared_answer.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

KINO_NAMESPACE_BEGIN
namespace detail {

/// A number that identifies the calling thread; no other thread and no live Ruby object has it.
inline std::uintptr_t this_thread() {
  static thread_local char here;
  return reinterpret_cast<std::uintptr_t>(&here);
}

/// What a caller of shared_cache does for a key.
enum class fetching { found, computes, waits };

/// A flight_table holds the entries of a shared_cache: hash chains, and lists by state.
///
/// An entry is one list node for its whole life. It is allocated before the lock is taken and freed
/// afterwards; under the lock it only moves between lists: first `computing_`, then `recent_` (its
/// value is cached). If callers wait for it when it leaves the chains, it moves to `leaving_` until
/// the last of them has its value.
template <class T>
class flight_table {
public:
  struct entry;
  using entries = std::list<entry>;
  struct entry {
    entry(std::string_view bytes, std::uintptr_t by, shared_answer<bool> const& ending)
        : key(bytes), hash(std::hash<std::string_view>{}(bytes)), caller(by), over(ending) {}
    std::string const key;
    std::size_t const hash;
    std::uintptr_t const caller;       // the thread that computes it
    shared_answer<bool> const over;    // answered once there is a value
    typename entries::iterator self;   // its position in its list
    entry* next = nullptr;             // in its chain
    std::optional<T> value;            // set once it is computed
    std::size_t waiting = 0;           // number of callers that have not taken the value
    bool chained = false;              // whether look-ups find it
    bool ended = false;                // computed, or failed
  };

  /// A participant is one caller's part in one attempt: it computes, waits, or neither.
  class participant {
  public:
    participant(flight_table& in, std::uintptr_t caller) : in_(in), caller_(caller) {}
    participant(participant const&) = delete;
    participant& operator=(participant const&) = delete;
    ~participant() { in_.leave(*this); }

    /// Finds the value of `key` or an entry to wait for; otherwise inserts the entry in `fresh`.
    fetching take(entries& fresh, std::string_view key) { return in_.take(*this, fresh, key); }
    /// The value, after `found` or once `over` has been answered.
    T value() const {
      if (found_) return *found_;
      // The entry keeps the value while callers wait.
      std::lock_guard guard(in_.mutex_);
      return *entry_->value;
    }
    /// The answer that a waiting caller waits for.
    shared_answer<bool> const& over() const { return entry_->over; }
    /// Ends the computation with `value`.
    void keep(T const& value) { in_.keep(*this, value); }

  private:
    friend flight_table;
    flight_table& in_;
    std::uintptr_t const caller_;
    entry* entry_ = nullptr;
    std::optional<T> found_;
    bool waits_ = false;
    participant* previous_ = nullptr;  // in the list of waiting callers
    participant* next_ = nullptr;
  };

  explicit flight_table(std::size_t capacity)
      : capacity_(capacity), chains_(std::bit_ceil(capacity)) {}

  bool forked() const { return born_.forked(); }

  std::optional<T> find(std::string_view key) {
    std::size_t const hash = std::hash<std::string_view>{}(key);
    std::lock_guard guard(mutex_);
    entry* const known = entry_of(hash, key);
    if (!known || !known->value) return std::nullopt;
    recent_.splice(recent_.begin(), recent_, known->self);
    return known->value;
  }

  bool erase(std::string_view key) {
    std::size_t const hash = std::hash<std::string_view>{}(key);
    entries gone;  // freed after the lock
    std::lock_guard guard(mutex_);
    entry* const known = entry_of(hash, key);
    if (!known) return false;
    if (known->ended) {
      retire(recent_, *known, gone);
    } else {
      unchain(*known);
    }
    return true;
  }

  std::size_t size() {
    std::lock_guard guard(mutex_);
    return recent_.size();
  }

  template <class Visit>
  void for_each_value(Visit& visit) {
    std::lock_guard guard(mutex_);
    for (entry const& each : recent_) visit(*each.value);
    for (entry const& each : leaving_) {
      if (each.value) visit(*each.value);
    }
  }

  // With good hashes, no chain becomes this long, because there are at most as many values as chains. Keys
  // chosen to collide evict each other, which bounds the cost of a look-up.
  static constexpr std::size_t longest_chain = 16;

private:
  fetching take(participant& mine, entries& fresh, std::string_view key) {
    entries gone;  // freed after the lock
    std::unique_lock guard(mutex_);
    entry* const known = entry_of(fresh.front().hash, key);
    if (!known) {
      mine.entry_ = &fresh.front();
      mine.entry_->self = fresh.begin();
      computing_.splice(computing_.begin(), fresh);
      chain(*mine.entry_);
      if (entry* const surplus = surplus_of(mine.entry_->hash)) retire(recent_, *surplus, gone);
      return fetching::computes;
    }
    if (known->value) {
      recent_.splice(recent_.begin(), recent_, known->self);
      mine.found_ = known->value;
      return fetching::found;
    }
    if (would_wait_for_itself(*known, mine.caller_)) {
      guard.unlock();
      throw std::system_error(
          std::make_error_code(std::errc::resource_deadlock_would_occur),
          "kino: computing a cached value requires that same value; compute it from other keys");
    }
    ++known->waiting;
    mine.entry_ = known;
    mine.waits_ = true;
    mine.next_ = std::exchange(line_, &mine);
    if (mine.next_) mine.next_->previous_ = &mine;
    return fetching::waits;
  }

  // Whether the thread that computes `wanted` is `caller`, or waits for a value that `caller`
  // computes, directly or indirectly. The loop ends: every wait was checked like this, so waits
  // form no cycle.
  bool would_wait_for_itself(entry const& wanted, std::uintptr_t caller) const {
    for (entry const* each = &wanted; each && !each->ended;) {
      if (each->caller == caller) return true;
      participant const* waiting = line_;
      while (waiting && waiting->caller_ != each->caller) waiting = waiting->next_;
      each = waiting ? waiting->entry_ : nullptr;
    }
    return false;
  }

  void keep(participant& mine, T const& value) {
    if (forked()) return;
    entries gone;  // freed after the lock
    std::lock_guard guard(mutex_);
    entry& computed = *std::exchange(mine.entry_, nullptr);
    computed.value.emplace(value);
    computed.ended = true;
    if (!computed.chained) return retire(computing_, computed, gone);  // erased meanwhile
    recent_.splice(recent_.begin(), computing_, computed.self);
    if (recent_.size() > capacity_) retire(recent_, recent_.back(), gone);
  }

  void leave(participant& mine) {
    if (!mine.entry_ || forked()) return;
    entries gone;  // freed after the lock
    std::lock_guard guard(mutex_);
    entry& left = *mine.entry_;
    if (!mine.waits_) {  // The computation has failed.
      left.ended = true;
      return retire(computing_, left, gone);
    }
    if (mine.next_) mine.next_->previous_ = mine.previous_;
    (mine.previous_ ? mine.previous_->next_ : line_) = mine.next_;
    if (--left.waiting == 0 && left.ended && !left.chained) {
      gone.splice(gone.begin(), leaving_, left.self);
    }
  }

  // Removes an entry whose computation has ended from the chains and from `from`.
  void retire(entries& from, entry& old, entries& gone) {
    unchain(old);
    entries& to = old.waiting ? leaving_ : gone;
    to.splice(to.begin(), from, old.self);
  }

  entry*& chain_of(std::size_t hash) { return chains_[hash & (chains_.size() - 1)]; }
  entry* entry_of(std::size_t hash, std::string_view key) {
    entry* each = chain_of(hash);
    while (each && !(each->hash == hash && each->key == key)) each = each->next;
    return each;
  }
  void chain(entry& fresh) {
    fresh.next = std::exchange(chain_of(fresh.hash), &fresh);
    fresh.chained = true;
  }
  // The entry to evict from a chain that is too long: its oldest value.
  entry* surplus_of(std::size_t hash) {
    entry* oldest = nullptr;
    std::size_t length = 0;
    for (entry* each = chain_of(hash); each; each = each->next) {
      ++length;
      if (each->ended) oldest = each;
    }
    return length > longest_chain ? oldest : nullptr;
  }
  void unchain(entry& old) {
    if (!std::exchange(old.chained, false)) return;
    entry** at = &chain_of(old.hash);
    while (*at != &old) at = &(*at)->next;
    *at = old.next;
  }

  leaf_mutex mutex_;
  std::size_t const capacity_;
  std::vector<entry*> chains_;
  entries computing_;
  entries recent_;   // most recently used first
  entries leaving_;
  participant* line_ = nullptr;
  fork_mark const born_;
};

}  // namespace detail
KINO_NAMESPACE_END
