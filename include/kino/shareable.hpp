// SPDX-License-Identifier: MIT
//
// shareable: keeps one shareable Ruby object alive from native memory.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/detail/place_store.hpp>
#include <kino/detail/ruby/boundary.hpp>
#include <kino/detail/ruby/gc_root.hpp>
#include <kino/fork_mark.hpp>
#include <kino/gvl.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

KINO_NAMESPACE_BEGIN

class shareable_set;

namespace detail {

// One place of a shareable_set.
struct kept_object {
  atomic<VALUE> object{0};  // 0: none
  shareable_set* set = nullptr;
  std::uint32_t index = 0;
  kept_object* next_free = nullptr;
};

}  // namespace detail

/// A shareable keeps one shareable Ruby object alive while native code holds it.
///
/// It comes from a shareable_set, which makes Ruby's collector mark the object, so a VALUE can wait in a
/// channel, a registry, a map or a request until any Ractor takes it out. Small Integers, Symbols, nil,
/// true and false take no place in the set. An empty shareable holds no object, not even nil.
///
/// Ownership: the object lives at least as long as the shareable; the set must outlive both.
/// Threads:   created in a Ruby thread; moved and destroyed in any thread, one at a time.
/// GVL:       needed to create one and for `value`; not to move or destroy it.
/// Blocks:    the destructor holds a leaf mutex for a few instructions.
/// Fork:      in a child, it keeps its object as before.
///
/// Example (needs Ruby):
///
///     static kino::shareable_set* objects;               // set up in KINO_EXTENSION
///     static kino::channel<kino::shareable> jobs{1024};
///     kino::shareable job = objects->keep(held, value);  // TypeError if it cannot be shared
///     if (kino::push(held, jobs, std::move(job)) == kino::push_result::closed) return Qfalse;
///
///     kino::shareable next;                              // in any Ractor
///     if (kino::pop(held, jobs, next) == kino::pop_result::popped) return next.value(held);
///
class [[nodiscard]] shareable {
public:
  shareable() = default;
  /// Moves the object; the other is then empty.
  shareable(shareable&& other) noexcept
      : kept_(std::exchange(other.kept_, nullptr)), constant_(std::exchange(other.constant_, none)) {}
  /// Releases the current object and takes over the other's; the other is then empty.
  shareable& operator=(shareable&& other) noexcept {
    shareable taken(std::move(other));
    std::swap(kept_, taken.kept_);
    std::swap(constant_, taken.constant_);
    return *this;
  }
  ~shareable();

  /// Whether it holds an object.
  [[nodiscard]] explicit operator bool() const noexcept { return kept_ || constant_ != none; }

  /// The object; only if it holds one. The caller's stack keeps it alive from then on.
  [[nodiscard]] VALUE value(gvl const&) const {
    KINO_ASSERT(*this, "an empty shareable has no object: ask it (`if (object)`) first");
    // relaxed: the thread that moved the shareable here has published the object.
    return kept_ ? kept_->object.load(std::memory_order_relaxed) : constant_;
  }

private:
  friend shareable_set;
  static constexpr VALUE none = RUBY_Qundef;  // no object that Ruby code can have
  explicit shareable(detail::kept_object& place) noexcept : kept_(&place) {}
  explicit shareable(VALUE constant) noexcept : constant_(constant) {}

  detail::kept_object* kept_ = nullptr;
  VALUE constant_ = none;
};

/// A shareable_set makes Ruby's collector mark the objects of its shareables.
///
/// There are two kinds:
///
/// * A *rooted* set, `shareable_set(held)`, keeps its objects alive by itself. Create one while an
///   extension is initialised, on the main Ractor: registering a GC root while other Ractors run crashes
///   Ruby 4.0. The root is one object; no VALUE is registered later.
/// * A set without a root belongs to a native_object, whose `mark` calls the set's. It keeps its objects
///   alive as long as that object lives. Choose it for a container that Ruby code creates: a container that
///   contains itself is then collected like any other garbage, which a root would prevent for ever.
///
/// Only shareable objects are kept: a Ruby that collects garbage per Ractor marks no others. Ruby does not
/// move kept objects (`GC.compact`).
///
/// Threads: `keep` and `keep_copy` in any Ractor, concurrently. No shareable may exist when the set is
///          destroyed, except after Ruby has ended.
/// GVL:     needed, also by the destructor of a rooted set; not by `size`.
/// Blocks:  `keep` holds a leaf mutex for a few instructions.
/// Throws:  kino::raise (TypeError); std::bad_alloc; std::length_error beyond 16,777,216 objects;
///          ruby_error.
/// GC:      the time of a mark is proportional to the maximum number of objects ever kept at once.
/// Fork:    a child may use an inherited set. Objects that another Ractor was keeping or releasing at the
///          moment of the fork may stay in it.
///
/// Example (needs Ruby):
///
///     struct mailbox {                                    // a native_object
///       static constexpr char const* ruby_name = "Mailbox";
///       static constexpr bool ruby_shareable = true;
///       void mark() const noexcept { objects.mark(); }
///       kino::shareable_set objects;                      // before what holds shareables
///       kino::channel<kino::shareable> letters{16};
///     };
///
class shareable_set {
public:
  /// Creates a set without a root.
  shareable_set() = default;
  /// Creates a rooted set. On the main Ractor.
  explicit shareable_set(gvl const& held) {
    root_.emplace(held, "kino::shareable_set");
    root_->watch(*this);
  }
  shareable_set(shareable_set const&) = delete;
  shareable_set& operator=(shareable_set const&) = delete;
  ~shareable_set() {
    KINO_ASSERT(size() == 0 || born_.forked() || detail::process_ends.load(std::memory_order_relaxed) ||
                    detail::ruby_has_ended.load(std::memory_order_relaxed),
                "a shareable_set must not be destroyed while shareables of it exist: declare it before their holders");
  }

  /// Keeps `object`. Raises TypeError, which names its class and says what to do, unless it is shareable.
  [[nodiscard]] shareable keep(gvl const& held, VALUE object);

  /// Keeps `object`, or a deep, frozen copy of it if it is not shareable (Ractor.make_shareable with
  /// copy: true). Throws ruby_error if it cannot be copied: a Thread, an IO.
  [[nodiscard]] shareable keep_copy(gvl const& held, VALUE object);

  /// Number of kept objects; may be stale on return. Takes time like `mark`.
  [[nodiscard]] std::size_t size() const noexcept;

  /// Marks the objects. For the `mark` of a native object that owns the set.
  void mark() const noexcept;

private:
  friend shareable;
  static void release(detail::kept_object& place) noexcept {
    // relaxed: the collector may read either value. An object that is released while it marks is still there.
    place.object.store(0, std::memory_order_relaxed);
    place.set->places_.give_back(place);
  }

  mutable detail::place_store<detail::kept_object> places_;  // mutable: a walk changes nothing
  fork_mark const born_;
  std::optional<detail::gc_root<shareable_set>> root_;
};

/// Whether every Ractor may use `object` as it is (Ractor.shareable?).
[[nodiscard]] inline bool is_shareable(gvl const& held, VALUE object) {
  if (RB_SPECIAL_CONST_P(object) || RB_OBJ_SHAREABLE_P(object)) return true;
  bool answer = false;
  protect(held, [&] { answer = rb_ractor_shareable_p(object); });
  return answer;
}

/// Raises TypeError unless `object` is shareable; the message names its class and says what to do.
inline void expect_shareable(gvl const& held, VALUE object) {
  if (is_shareable(held, object)) return;
  char const* name = nullptr;
  protect(held, [&] { name = rb_obj_classname(object); });
  throw raise(rb_eTypeError,
              std::string("kino: an unshareable object (") + name +
                  ") cannot be passed between Ractors: pass Ractor.make_shareable(object), which freezes it with "
                  "everything it refers to, or Ractor.make_shareable(object, copy: true), which freezes a copy");
}

namespace detail {

// Up to 4.0, Ruby copies an IO to a frozen one with a file descriptor of its own, which can do nothing. Finds the IO in what
// programs pass: containers and objects, a few levels deep. May raise.
inline void refuse_io(VALUE object, int depth) {
  if (RB_SPECIAL_CONST_P(object) || RB_OBJ_SHAREABLE_P(object) || depth > 4) return;
  switch (RB_BUILTIN_TYPE(object)) {
    case T_FILE: rb_raise(rb_eTypeError, "an IO cannot be copied: %s", rb_obj_classname(object));
    case T_ARRAY:
      for (long i = 0; i < RARRAY_LEN(object); ++i) refuse_io(RARRAY_AREF(object, i), depth + 1);
      break;
    case T_HASH:
      rb_hash_foreach(object, [](VALUE, VALUE value, VALUE level) {
        refuse_io(value, FIX2INT(level));
        return static_cast<int>(ST_CONTINUE);
      }, INT2FIX(depth + 1));
      break;
    case T_STRUCT:
      for (long i = 0; i < NUM2LONG(rb_struct_size(object)); ++i) refuse_io(rb_struct_aref(object, LONG2FIX(i)), depth + 1);
      break;
    case T_OBJECT:
      rb_ivar_foreach(object, [](ID, VALUE value, st_data_t level) {
        refuse_io(value, static_cast<int>(level));
        return static_cast<int>(ST_CONTINUE);
      }, static_cast<st_data_t>(depth + 1));
      break;
    default: break;
  }
}

}  // namespace detail

/// `object`, or a deep, frozen copy of it if it is not shareable. Throws ruby_error if it cannot be copied: a Thread, an IO.
[[nodiscard]] inline VALUE shareable_copy(gvl const& held, VALUE object) {
  if (is_shareable(held, object)) return object;
  return protect(held, [object] {
    detail::refuse_io(object, 0);
    return rb_ractor_make_shareable_copy(object);
  });
}

// --- implementation ---------------------------------------------------------

inline shareable::~shareable() {
  if (kept_) shareable_set::release(*kept_);
}

inline shareable shareable_set::keep(gvl const& held, VALUE object) {
  expect_shareable(held, object);
  if (RB_SPECIAL_CONST_P(object)) return shareable(object);
  detail::kept_object& place = places_.take();
  place.set = this;
  // release: pairs with the acquire in `mark`, which may run in another Ractor at the same time.
  place.object.store(object, std::memory_order_release);
  RB_GC_GUARD(object);
  return shareable(place);
}

inline shareable shareable_set::keep_copy(gvl const& held, VALUE object) {
  return keep(held, shareable_copy(held, object));
}

inline std::size_t shareable_set::size() const noexcept {
  std::size_t kept = 0;
  places_.for_each([&](detail::kept_object const& each) { kept += each.object.load(std::memory_order_relaxed) != 0; });
  return kept;
}

// Called by the collector. rb_gc_mark also pins the objects: shareables have their addresses.
inline void shareable_set::mark() const noexcept {
  places_.for_each([](detail::kept_object const& each) {
    if (VALUE const object = each.object.load(std::memory_order_acquire)) rb_gc_mark(object);
  });
}

KINO_NAMESPACE_END
