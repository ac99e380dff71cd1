// SPDX-License-Identifier: MIT
//
// map_table: the hash table of Kino::Map, in stripes that each have a leaf mutex.

#pragma once

#include "map_key.hpp"

#include <kino/dispatch.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>

/// An entry. A new value, like a new entry, is linked by one store, so that a forked child finds either state.
struct map_entry {
  struct cell {
    kino::shareable value;
  };

  explicit map_entry(map_key const& key) : hash(key.hash()), encoding(key.encoding()), kind(key.kind()) {}
  map_entry(map_entry const&) = delete;
  map_entry& operator=(map_entry const&) = delete;
  ~map_entry() { delete content.load(std::memory_order_relaxed); }

  std::size_t const hash;
  int const encoding;
  key_kind const kind;
  kino::shareable key;
  // Changed under the mutex of the stripe; release, for a fork in between: see above. So are all links.
  std::atomic<cell*> content{nullptr};
  std::atomic<map_entry*> next{nullptr};
};

/// One of the parts of a table, with a mutex of its own. Chains of entries; a new entry is the last one of its chain.
class map_stripe {
public:
  map_stripe() = default;
  map_stripe(map_stripe const&) = delete;
  map_stripe& operator=(map_stripe const&) = delete;
  ~map_stripe() {
    for (std::size_t i = 0; i < chains_; ++i) {
      for (map_entry* each = heads_[i].load(std::memory_order_relaxed); each;) {
        delete std::exchange(each, each->next.load(std::memory_order_relaxed));
      }
    }
  }

  /// Where `key` is, or would be: the link that leads to its entry, or the null link at the end of its chain. The lock is
  /// held on return, and not while `eql?` runs. Throws ruby_error, with the lock not held.
  ///
  /// An entry that others add meanwhile comes after all those that were compared; only if the last one of those is
  /// gone, the search begins again.
  std::atomic<map_entry*>& find(kino::gvl const& held, map_key const& key, std::unique_lock<kino::leaf_mutex>& lock) {
    VALUE compared = Qundef;  // by Ruby
    bool equal = false;
    for (;;) {
      lock.lock();
      expect_whole(lock);
      std::atomic<map_entry*>* link = &heads_[key.hash() & (chains_ - 1)];
      bool ahead = compared == Qundef;
      VALUE candidate = Qundef;
      for (; map_entry* const each = link->load(std::memory_order_relaxed); link = &each->next) {
        if (each->hash != key.hash()) continue;
        VALUE const object = each->key.value(held);
        if (!ahead) {
          if (object != compared) continue;
          if (equal) return *link;
          ahead = true;
        } else if (key.is(object, each->kind, each->encoding)) {
          return *link;
        } else if (key.kind() == key_kind::object && each->kind == key_kind::object) {
          candidate = object;
          break;
        }
      }
      if (candidate == Qundef && ahead) return *link;
      lock.unlock();
      compared = candidate;
      if (candidate != Qundef) equal = key.is_for_ruby(held, candidate);
    }
  }

  /// A larger array of chains if this one is full; it is allocated without the lock.
  void reserve() {
    std::size_t wanted = 0;
    {
      std::lock_guard guard(mutex_);
      if (size_ < chains_) return;
      wanted = chains_ * 2;
    }
    auto larger = std::make_unique<std::atomic<map_entry*>[]>(wanted);
    std::lock_guard guard(mutex_);
    if (chains_ >= wanted) return;
    grow(larger, wanted);  // the old array is deleted after the lock is released
  }

  /// Calls `see(entry)` for each entry, with the lock held.
  template <class See>
  void for_each(See see) {
    for (std::size_t i = 0; i < chains_; ++i) {
      map_entry* each = heads_[i].load(std::memory_order_relaxed);
      for (; each; each = each->next.load(std::memory_order_relaxed)) see(*each);
    }
  }

  [[nodiscard]] std::unique_lock<kino::leaf_mutex> unlocked() { return std::unique_lock(mutex_, std::defer_lock); }
  [[nodiscard]] std::unique_lock<kino::leaf_mutex> locked() {
    std::unique_lock lock(mutex_);
    expect_whole(lock);
    return lock;
  }
  [[nodiscard]] std::size_t size() {
    std::lock_guard guard(mutex_);
    return size_;
  }

  /// With the lock held.
  void link(std::atomic<map_entry*>& end, map_entry* entry) noexcept {
    end.store(entry, std::memory_order_release);
    ++size_;
  }
  void unlink(std::atomic<map_entry*>& at) noexcept {
    at.store(at.load(std::memory_order_relaxed)->next.load(std::memory_order_relaxed), std::memory_order_release);
    --size_;
  }

private:
  // Entries keep their order. The time is proportional to their number: the only such section, once per doubling.
  void grow(std::unique_ptr<std::atomic<map_entry*>[]>& larger, std::size_t chains) noexcept {
    growing_.store(true, std::memory_order_release);
    for (std::size_t i = 0; i < chains_; ++i) {
      std::atomic<map_entry*>* ends[2] = {&larger[i], &larger[i + chains_]};
      for (map_entry* each = heads_[i].load(std::memory_order_relaxed); each;) {
        map_entry* const moved = std::exchange(each, each->next.load(std::memory_order_relaxed));
        auto*& end = ends[(moved->hash & chains_) != 0];
        moved->next.store(nullptr, std::memory_order_relaxed);
        end->store(moved, std::memory_order_relaxed);
        end = &moved->next;
      }
    }
    heads_.swap(larger);
    chains_ = chains;
    growing_.store(false, std::memory_order_release);
  }

  // A thread of the parent may have been growing the stripe at the moment of the fork.
  void expect_whole(std::unique_lock<kino::leaf_mutex>& lock) {
    if (!growing_.load(std::memory_order_relaxed)) return;
    lock.unlock();
    throw kino::raise(rb_eRuntimeError,
                      "kino: another Ractor was enlarging this map at the moment of the fork: make a map in the child");
  }

  static constexpr std::size_t first_chains = 4;
  kino::leaf_mutex mutex_;
  std::size_t chains_ = first_chains;
  std::size_t size_ = 0;
  std::atomic<bool> growing_{false};
  std::unique_ptr<std::atomic<map_entry*>[]> heads_ = std::make_unique<std::atomic<map_entry*>[]>(first_chains);
};
