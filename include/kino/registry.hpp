// SPDX-License-Identifier: MIT
//
// registry<T>: integer ids for shared native state, which Ruby can hold.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/detail/blocking.hpp>
#include <kino/detail/place_store.hpp>
#include <kino/fork_mark.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

KINO_NAMESPACE_BEGIN

namespace detail {

// Each registry of an extension has a different salt, so an id of one is not found in another.
// Salts repeat after 1,023 registries. This is a std::atomic, not detail::atomic, because it
// outlives a run of the model checker.
inline std::uint64_t next_registry_salt() {
  static std::atomic<std::uint32_t> last{0};
  // relaxed: the numbers only have to differ.
  return last.fetch_add(1, std::memory_order_relaxed) % 1023 + 1;
}

}  // namespace detail

/// A registry gives shared native state a 64-bit id that any Ractor may keep and look up.
///
/// An id is a positive Fixnum on 64-bit Rubies (62 bits: salt of the registry, generation, index)
/// and is never reused: each reuse of a place increments its generation, and a place that has
/// used all generations is retired. Any invalid id is not found: a stale one, one of another
/// registry, or a random number. Lookup takes no lock: it pins the place with one
/// compare-and-swap, and an erased object lives until its last pin is dropped.
///
/// A registry is an object that your code creates, not a hidden global.
///
/// Threads:  any thread, any Ractor, concurrently. No pin may exist when it is destroyed.
/// GVL:      never needed. ~T runs in the thread that drops the last pin: it must not need Ruby.
/// Blocks:   `insert` and the destruction of an erased object take a leaf mutex; `find` and
///           `for_each` never do.
/// Throws:   `insert`: std::bad_alloc, what T's constructor throws, and std::length_error beyond
///           16,777,216 places.
/// Fork:     a child may use an inherited registry. Objects that a thread of the parent was inserting
///           or had pinned at the moment of the fork are never destroyed in the child.
///
/// Example:
///
///     kino::registry<std::string> names;
///     std::uint64_t id = names.insert("amber");
///     if (auto name = names.find(id)) assert(*name == "amber");
///     assert(names.erase(id));
///     assert(!names.find(id));
///
template <class T>
class registry {
  struct place;

public:
  /// A pin keeps one registered object alive while it is in use; empty if the id was not found.
  class pin {
  public:
    pin() = default;
    /// Moves the pin; the other is then empty.
    pin(pin&& other) noexcept
        : owner_(other.owner_), place_(std::exchange(other.place_, nullptr)) {}
    /// Releases the current object and takes over the other's; the other is then empty.
    pin& operator=(pin&& other) noexcept {
      pin taken(std::move(other));
      std::swap(owner_, taken.owner_);
      std::swap(place_, taken.place_);
      return *this;
    }
    ~pin() {
      if (place_) owner_->unpin(*place_);
    }

    /// Whether it holds an object.
    explicit operator bool() const { return place_ != nullptr; }
    /// The object; only if the pin is not empty.
    T& operator*() const { return *object(); }
    /// A pointer to the object; only if the pin is not empty.
    T* operator->() const { return object(); }

  private:
    friend registry;
    pin(registry& owner, place& pinned) : owner_(&owner), place_(&pinned) {}
    T* object() const {
      KINO_ASSERT(place_, "an empty pin has no object: the id was not found; ask the pin (`if (pin)`) first");
      return place_->object();
    }
    registry* owner_ = nullptr;
    place* place_ = nullptr;
  };

  registry() = default;
  registry(registry const&) = delete;
  registry& operator=(registry const&) = delete;
  ~registry();

  /// Constructs a T from `arguments` and returns its id.
  template <class... Arguments>
  [[nodiscard]] std::uint64_t insert(Arguments&&... arguments);

  /// Pins the object with `id`; returns an empty pin if the id is not found.
  [[nodiscard]] pin find(std::uint64_t id);

  /// Makes `id` stale; the object is destroyed with its last pin. Returns whether this call
  /// erased it.
  bool erase(std::uint64_t id);

  /// Calls `visit(id, object)` for each object, which is pinned during the call.
  ///
  /// An object that is registered during the whole walk is visited exactly once; one that is
  /// inserted or erased during the walk, also by `visit`, at most once. An exception from `visit`
  /// ends the walk. The time is proportional to the maximum number of objects ever registered at
  /// once.
  template <class Visit>
  void for_each(Visit visit);

private:
  // word: the upper half is the generation; the lower half is "live" (1) plus two per pin. An
  // object exists while the lower half is not zero.
  static constexpr std::uint64_t live = 1;
  static constexpr std::uint64_t one_pin = 2;
  static constexpr unsigned index_bits = 24;  // place_store's
  static constexpr unsigned generation_bits = 28;
  static constexpr std::uint32_t last_generation = (1u << generation_bits) - 1;

  struct place {
    detail::atomic<std::uint64_t> word{0};
    std::uint32_t index = 0;
    place* next_free = nullptr;
    alignas(T) unsigned char storage[sizeof(T)];
    T* object() { return std::launder(reinterpret_cast<T*>(storage)); }
  };

  static std::uint32_t generation_of(std::uint64_t word) {
    return static_cast<std::uint32_t>(word >> 32);
  }
  std::uint64_t id_of(std::uint32_t generation, std::uint32_t index) const {
    return salt_ << (generation_bits + index_bits) | std::uint64_t{generation} << index_bits |
           index;
  }
  place* place_of(std::uint64_t id) const;
  void unpin(place& pinned);

  std::uint64_t const salt_ = detail::next_registry_salt();
  detail::place_store<place> places_;
  fork_mark const born_;
};

// --- implementation ---------------------------------------------------------

template <class T>
registry<T>::~registry() {
  places_.for_each([this](place& each) {
    // relaxed: the destroying thread has synchronised with all users.
    std::uint64_t const users = each.word.load(std::memory_order_relaxed) & 0xffffffff;
    KINO_ASSERT(users <= live || born_.forked() || detail::process_ends.load(std::memory_order_relaxed),
                "a registry must not be destroyed while there are pins: drop them first");
    if (users) each.object()->~T();
  });
}

template <class T>
template <class... Arguments>
std::uint64_t registry<T>::insert(Arguments&&... arguments) {
  place& fresh = places_.take();
  try {
    ::new (static_cast<void*>(fresh.storage)) T(std::forward<Arguments>(arguments)...);
  } catch (...) {
    places_.give_back(fresh);
    throw;
  }
  // relaxed: only its owner writes the word of a free place, and the mutex passed it on.
  std::uint32_t const generation =
      generation_of(fresh.word.load(std::memory_order_relaxed)) + 1;
  // release: pairs with the acquire in find, which must see a complete object.
  fresh.word.store(std::uint64_t{generation} << 32 | live, std::memory_order_release);
  return id_of(generation, fresh.index);
}

template <class T>
typename registry<T>::place* registry<T>::place_of(std::uint64_t id) const {
  if (id >> (generation_bits + index_bits) != salt_) return nullptr;
  return places_.at(id & ((std::uint64_t{1} << index_bits) - 1));
}

template <class T>
typename registry<T>::pin registry<T>::find(std::uint64_t id) {
  place* const found = place_of(id);
  if (!found) return {};
  std::uint32_t const generation = (id >> index_bits) & last_generation;
  // acquire: pairs with the release in insert.
  std::uint64_t seen = found->word.load(std::memory_order_acquire);
  do {
    if (generation_of(seen) != generation || !(seen & live)) return {};
  } while (!found->word.compare_exchange_weak(seen, seen + one_pin, std::memory_order_acquire,
                                              std::memory_order_acquire));
  return pin(*this, *found);
}

template <class T>
bool registry<T>::erase(std::uint64_t id) {
  pin held = find(id);
  if (!held) return false;
  place& gone = *held.place_;
  // The thread that clears the live bit has erased it. relaxed: dropping `held` releases.
  return gone.word.fetch_and(~live, std::memory_order_relaxed) & live;
}

template <class T>
template <class Visit>
void registry<T>::for_each(Visit visit) {
  places_.for_each([&](place& each) {
    // relaxed: the exchange decides. Its acquire pairs with the release in insert.
    std::uint64_t seen = each.word.load(std::memory_order_relaxed);
    while ((seen & live) &&
           !each.word.compare_exchange_weak(seen, seen + one_pin, std::memory_order_acquire,
                                            std::memory_order_relaxed)) {
    }
    if (!(seen & live)) return;
    pin const held(*this, each);
    visit(id_of(generation_of(seen), each.index), *each.object());
  });
}

template <class T>
void registry<T>::unpin(place& pinned) {
  // acq_rel: every holder releases its use of the object; the last one acquires them all.
  std::uint64_t const before = pinned.word.fetch_sub(one_pin, std::memory_order_acq_rel);
  if ((before & 0xffffffff) != one_pin) return;
  pinned.object()->~T();
  if (generation_of(before) == last_generation) return;  // Used up: the place retires.
  places_.give_back(pinned);
}

KINO_NAMESPACE_END
