// SPDX-License-Identifier: MIT
//
// frozen_string_cache: returns one frozen, shareable String per byte sequence.

#pragma once

#include <kino/detail/ruby/gc_root.hpp>
#include <kino/gvl.hpp>
#include <kino/leaf_mutex.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

KINO_NAMESPACE_BEGIN

/// A frozen_string_cache keeps one frozen, shareable String per byte sequence, for all Ractors.
///
/// It has two parts: a fixed set, created with the cache and looked up without a lock, and a
/// bounded set of other Strings, which evicts the least recently used one. The bounded set is
/// divided into sets of eight entries with a leaf lock each. The Strings are Ruby's interned ones:
/// as Hash keys, they are the same objects as literals in Ruby code, which makes look-ups fast.
///
/// Create it once, while an extension is initialised or a server boots, on the main Ractor:
/// registering a GC root while other Ractors run crashes Ruby 4.0. The root is one object, created
/// by the constructor; no VALUE is registered later. Do not cache secrets: a value may stay in
/// memory long after its request.
///
/// Threads:    `find`, `size` and `intern` in any Ractor, concurrently.
/// GVL:        `intern` takes the token. `find` needs the GVL, too, because a String that only
///             native code refers to is not marked.
/// Blocks:     never; leaf locks for a few instructions.
/// Interrupts: not checked.
/// Throws:     std::bad_alloc; ruby_error (NoMemoryError).
/// Fork:       a child continues with the inherited contents.
///
/// Example (needs Ruby):
///
///     static kino::frozen_string_cache* keys;   // set up in KINO_EXTENSION
///     keys = new kino::frozen_string_cache(held, {"REQUEST_METHOD", "PATH_INFO"});
///     VALUE key = *keys->find("PATH_INFO");     // never a new object
///     VALUE value = keys->intern(held, "localhost:9292");
///
class frozen_string_cache {
public:
  /// The options of a cache.
  struct options {
    rb_encoding* encoding = rb_utf8_encoding();  ///< The encoding of every String in the cache.
    std::size_t capacity = 1024;  ///< Size of the bounded set; rounded up to 8 * 2^n.
    std::size_t longest = 256;    ///< In bytes; longer Strings are not cached.
  };

  /// Creates a cache with the default options. `fixed` stay in the cache. On the main Ractor.
  frozen_string_cache(gvl const& held, std::initializer_list<std::string_view> fixed)
      : frozen_string_cache(held, std::span(fixed.begin(), fixed.size()), options{}) {}
  /// Creates a cache with the options `chosen`. `fixed` stay in the cache. On the main Ractor.
  frozen_string_cache(gvl const& held, std::span<std::string_view const> fixed,
                      options chosen);
  frozen_string_cache(frozen_string_cache const&) = delete;
  frozen_string_cache& operator=(frozen_string_cache const&) = delete;
  /// Needs the GVL of any Ractor until Ruby has ended: a collection in another thread reads the
  /// cache. Strings that Ruby refers to remain valid.
  ~frozen_string_cache() = default;

  /// The String of `bytes` if it is in the fixed set.
  [[nodiscard]] std::optional<VALUE> find(std::string_view bytes) const noexcept;

  /// The String of `bytes`, from either part; created and cached if it is in neither.
  [[nodiscard]] VALUE intern(gvl const& held, std::string_view bytes);

  /// Number of Strings in the cache.
  [[nodiscard]] std::size_t size() const;

private:
  static constexpr std::size_t ways = 8;

  struct fixed_entry {
    std::uint64_t hash = 0;
    VALUE string = 0;  // 0: no entry
  };
  struct entry {
    std::uint64_t hash = 0;
    VALUE string = 0;
    std::uint32_t last_use = 0;
  };
  struct set {
    leaf_mutex lock;
    std::uint32_t uses = 0;
    entry entries[ways];
  };
  friend class detail::gc_root<frozen_string_cache>;

  static std::uint64_t hash_of(std::string_view bytes) noexcept;
  static bool is(VALUE string, std::string_view bytes) noexcept {
    return static_cast<std::size_t>(RSTRING_LEN(string)) == bytes.size() &&
           std::memcmp(RSTRING_PTR(string), bytes.data(), bytes.size()) == 0;
  }
  static entry* entry_of(set& searched, std::uint64_t hash, std::string_view bytes) noexcept;
  static entry& oldest_of(set& searched) noexcept;
  VALUE make(gvl const& held, std::string_view bytes) const;
  void mark() const noexcept;

  rb_encoding* const encoding_;
  std::size_t const longest_;
  std::vector<fixed_entry> fixed_;  // open addressing, at most half full, never changed
  std::size_t const set_count_;
  std::unique_ptr<set[]> const sets_;
  detail::gc_root<frozen_string_cache> root_;
};

// --- implementation ---------------------------------------------------------

inline frozen_string_cache::frozen_string_cache(gvl const& held,
                                                std::span<std::string_view const> fixed,
                                                options chosen)
    : encoding_(chosen.encoding),
      longest_(chosen.longest),
      fixed_(std::bit_ceil(2 * fixed.size() + 1)),
      set_count_(std::bit_ceil((chosen.capacity + ways - 1) / ways)),
      sets_(std::make_unique<set[]>(set_count_)),
      root_(held, "kino::frozen_string_cache") {
  root_.watch(*this);
  for (std::string_view bytes : fixed) {
    if (find(bytes)) continue;
    VALUE const string = make(held, bytes);
    std::uint64_t const hash = hash_of(bytes);
    std::size_t at = hash & (fixed_.size() - 1);
    while (fixed_[at].string) at = (at + 1) & (fixed_.size() - 1);
    fixed_[at] = {hash, string};
  }
}

inline std::optional<VALUE> frozen_string_cache::find(std::string_view bytes) const noexcept {
  std::uint64_t const hash = hash_of(bytes);
  for (std::size_t at = hash & (fixed_.size() - 1);; at = (at + 1) & (fixed_.size() - 1)) {
    fixed_entry const& seen = fixed_[at];
    if (!seen.string) return std::nullopt;
    if (seen.hash == hash && is(seen.string, bytes)) return seen.string;
  }
}

inline VALUE frozen_string_cache::intern(gvl const& held, std::string_view bytes) {
  if (std::optional<VALUE> const fixed = find(bytes)) return *fixed;
  if (bytes.size() > longest_) return make(held, bytes);
  std::uint64_t const hash = hash_of(bytes);
  set& home = sets_[(hash >> 32) & (set_count_ - 1)];
  {
    std::lock_guard guard(home.lock);
    if (entry* known = entry_of(home, hash, bytes)) return known->string;
  }
  // Ruby allocates while we hold no lock. Two Ractors may create the same String concurrently; it
  // is interned, so they get one object. This stack keeps it alive until the set refers to it.
  VALUE string = make(held, bytes);
  {
    std::lock_guard guard(home.lock);
    if (entry* known = entry_of(home, hash, bytes)) return known->string;
    oldest_of(home) = {hash, string, ++home.uses};
  }
  RB_GC_GUARD(string);
  return string;
}

inline std::size_t frozen_string_cache::size() const {
  std::size_t held = 0;
  for (fixed_entry const& each : fixed_) held += each.string != 0;
  for (std::size_t i = 0; i < set_count_; ++i) {
    std::lock_guard guard(sets_[i].lock);
    for (entry const& each : sets_[i].entries) held += each.string != 0;
  }
  return held;
}

// FNV-1a with a final mix (the xor-shift of MurmurHash3's finaliser): the low bits choose the
// place, the high ones the set.
inline std::uint64_t frozen_string_cache::hash_of(std::string_view bytes) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccd;
  return hash ^ hash >> 33;
}

inline frozen_string_cache::entry* frozen_string_cache::entry_of(
    set& searched, std::uint64_t hash, std::string_view bytes) noexcept {
  for (entry& each : searched.entries) {
    if (each.string && each.hash == hash && is(each.string, bytes)) {
      each.last_use = ++searched.uses;
      return &each;
    }
  }
  return nullptr;
}

inline frozen_string_cache::entry& frozen_string_cache::oldest_of(set& searched) noexcept {
  entry* oldest = &searched.entries[0];
  for (entry& each : searched.entries) {
    if (!each.string) return each;
    // Comparing differences is safe when the counter wraps.
    if (searched.uses - each.last_use > searched.uses - oldest->last_use) oldest = &each;
  }
  return *oldest;
}

inline VALUE frozen_string_cache::make(gvl const& held, std::string_view bytes) const {
  return protect(held, [&] {
    VALUE const string = rb_enc_interned_str(bytes.data(), static_cast<long>(bytes.size()),
                                             encoding_);
    return rb_ractor_make_shareable(string);
  });
}

// Called by the collector. A thread that holds a set's lock reaches no safepoint before it
// unlocks, so waiting for the lock cannot deadlock. rb_gc_mark also pins the Strings: `is` reads
// their bytes, so they must not move.
inline void frozen_string_cache::mark() const noexcept {
  for (fixed_entry const& each : fixed_) {
    if (each.string) rb_gc_mark(each.string);
  }
  for (std::size_t i = 0; i < set_count_; ++i) {
    std::lock_guard guard(sets_[i].lock);
    for (entry const& each : sets_[i].entries) {
      if (each.string) rb_gc_mark(each.string);
    }
  }
}

KINO_NAMESPACE_END
