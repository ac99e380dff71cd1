// SPDX-License-Identifier: MIT
//
// How Ruby's collector learns of VALUEs in native memory that lives as long as the process, or nearly.

#pragma once

#include <kino/gvl.hpp>

#include <memory>

KINO_NAMESPACE_BEGIN
namespace detail {

/// A gc_root has Ruby's collector call `owner.mark()` for as long as the root lives.
///
/// It is one object, registered by the constructor and immortal; nothing is registered later. Build
/// it on the main Ractor before others run: registering a GC root while they do is a crash on Ruby
/// 4.0. Declare it as the owner's last member, so that it ends before what `mark` reads.
///
/// `void mark() const noexcept` runs in any thread of any Ractor, at any time from `watch` on. It
/// may take a leaf_mutex: a thread that holds one never reaches a point where Ruby could stop it.
///
/// GVL:    needed; by the destructor, too, because a collection in another thread reads the owner.
///         After the end of Ruby it needs nothing.
/// Throws: std::bad_alloc, ruby_error (NoMemoryError), from the constructor.
template <class Owner>
class gc_root {
public:
  /// `name` is the object's, in heap dumps; it lives as long as the process.
  gc_root(gvl const& held, char const* name) {
    static rb_data_type_t const type = make_type(name);
    auto kept = std::make_unique<cell>();
    protect(held, [&] {
      rb_gc_register_mark_object(rb_data_typed_object_wrap(0, kept.get(), &type));
    });
    cell_ = kept.release();  // Immortal, like the object that refers to it.
  }
  gc_root(gc_root const&) = delete;
  gc_root& operator=(gc_root const&) = delete;
  ~gc_root() {
    KINO_ASSERT(ruby_has_ended.load(std::memory_order_relaxed) || holds_gvl(),
                "a frozen_string_cache or shareable_cache is destroyed by a thread that holds the GVL");
    cell_->owner = nullptr;
  }

  /// Begins: `owner` is complete, and has no VALUEs yet.
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
