// SPDX-License-Identifier: MIT
//
// shareable_cache: a shared_cache of shareable Ruby objects, for all Ractors.

#pragma once

#include <kino/detail/ruby/gc_root.hpp>
#include <kino/gvl.hpp>
#include <kino/shared_cache.hpp>
#include <kino/wait.hpp>

#include <cstddef>
#include <optional>
#include <string_view>
#include <type_traits>

KINO_NAMESPACE_BEGIN

/// A shareable_cache is a shared_cache of Ruby objects that every Ractor may use.
///
/// The result of a computation is made shareable: it is frozen, with everything it refers to. If
/// Ruby cannot do that, `fetch` throws the error, as if the computation had raised it.
///
/// Create it once, while an extension is initialised or a server boots, on the main Ractor:
/// registering a GC root while other Ractors run crashes Ruby 4.0. The root is one object, created
/// by the constructor; no VALUE is registered later.
///
/// Threads:    any Ruby thread of any Ractor, concurrently.
/// GVL:        needed.
/// Blocks:     `fetch`, like kino::wait, while another caller computes.
/// Throws:     as shared_cache, and ruby_error.
/// Fork:       a child starts with an empty cache.
///
/// Example (needs Ruby):
///
///     static kino::shareable_cache* templates;   // set up in KINO_EXTENSION
///     templates = new kino::shareable_cache(held, 1000);
///     VALUE compiled = templates->fetch(held, path, [&] {
///       return kino::protect(held, [&] { return rb_funcall(compiler, compile, 1, source); });
///     });
///
class shareable_cache {
public:
  /// Creates a cache for at most `capacity` objects, as in shared_cache. On the main Ractor.
  shareable_cache(gvl const& held, std::size_t capacity);
  shareable_cache(shareable_cache const&) = delete;
  shareable_cache& operator=(shareable_cache const&) = delete;
  /// Needs the GVL, like ~frozen_string_cache. Objects that Ruby refers to remain valid.
  ~shareable_cache() = default;

  /// The object of `key`; calls `compute()` if it is not cached and no other caller computes it.
  template <class Compute>
  [[nodiscard]] VALUE fetch(gvl const& held, std::string_view key, Compute&& compute) {
    static_assert(std::is_same_v<std::remove_cvref_t<std::invoke_result_t<Compute&>>, VALUE>,
                  "what is computed for a shareable_cache must be a VALUE: convert it with kino::to_ruby(held, ...)");
    auto shareable = [&] {
      VALUE const computed = compute();
      return protect(held, [&] { return rb_ractor_make_shareable(computed); });
    };
    return kino::fetch(held, values_, key, shareable);
  }
  /// The object of `key` if it is cached; counts as a use.
  [[nodiscard]] std::optional<VALUE> find(gvl const&, std::string_view key) {
    return values_.find(key);
  }
  /// See shared_cache::erase.
  bool erase(std::string_view key) { return values_.erase(key); }
  /// See shared_cache::size.
  [[nodiscard]] std::size_t size() { return values_.size(); }

private:
  friend class detail::gc_root<shareable_cache>;
  void mark() const noexcept {
    values_.for_each_value([](VALUE each) { rb_gc_mark(each); });
  }

  shared_cache<VALUE> values_;
  detail::gc_root<shareable_cache> root_;
};

// --- implementation ---------------------------------------------------------

inline shareable_cache::shareable_cache(gvl const& held, std::size_t capacity)
    : values_(capacity), root_(held, "kino::shareable_cache") {
  root_.watch(*this);
}

KINO_NAMESPACE_END
