// SPDX-License-Identifier: MIT
//
// gc_root: makes Ruby's collector mark the VALUEs of a long-lived native object.

#pragma once

#include <kino/gvl.hpp>

#include <memory>

KINO_NAMESPACE_BEGIN
namespace detail {

/// A gc_root makes Ruby's collector call `owner.mark()` while the root exists.
///
/// The constructor registers one object that is never freed; nothing is registered later. Create it
/// on the main Ractor before other Ractors run: registering a GC root while they do crashes Ruby
/// 4.0. Declare it as the owner's last member: it must be destroyed before the members that `mark`
/// reads.
///
/// `void mark() const noexcept` may run in any thread of any Ractor, at any time after `watch`. It
/// may take a leaf_mutex: a thread that holds one reaches no safepoint before it unlocks.
///
/// GVL:    needed, also by the destructor, because a collection in another thread reads the owner;
///         not needed after Ruby has ended.
/// Throws: std::bad_alloc, ruby_error (NoMemoryError), from the constructor.
template <class Owner>
class gc_root {
public:
  /// `name` is the object's name in heap dumps; the string must have static storage duration.
  gc_root(gvl const& held, char const* name) {
    static rb_data_type_t const type = make_type(name);
    auto kept = std::make_unique<cell>();
    protect(held, [&] {
      rb_gc_register_mark_object(rb_data_typed_object_wrap(0, kept.get(), &type));
    });
    cell_ = kept.release();  // Never freed, like the object that refers to it.
  }
  gc_root(gc_root const&) = delete;
  gc_root& operator=(gc_root const&) = delete;
  ~gc_root() {
    KINO_ASSERT(ruby_has_ended.load(std::memory_order_relaxed) || holds_gvl(),
                "a frozen_string_cache, a shareable_cache or a rooted shareable_set must be destroyed by a thread that holds the GVL");
    cell_->owner = nullptr;
  }

  /// Starts marking. `owner` must be fully constructed and have no VALUEs yet.
  void watch(Owner const& owner) noexcept { cell_->owner = &owner; }

private:
  struct cell {
    Owner const* owner = nullptr;
  };

  static rb_data_type_t make_type(char const* name) {
    rb_data_type_t made{};
    made.wrap_struct_name = name;
    made.function.dmark = [](void* data) {
      if (Owner const* const owner = static_cast<cell*>(data)->owner) owner->mark();
    };
    return made;
  }

  cell* cell_;
};

}  // namespace detail
KINO_NAMESPACE_END
