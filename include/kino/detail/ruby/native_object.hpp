// SPDX-License-Identifier: MIT
//
// native_object<T>: a Ruby object that owns a C++ one.

#pragma once

#include <kino/detail/blocking.hpp>
#include <kino/detail/ruby/boundary.hpp>
#include <kino/start_thread.hpp>

#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <type_traits>

KINO_NAMESPACE_BEGIN
namespace detail {

// The allocator of define_class. Ruby calls it to copy an object, too: for another Ractor, and in `dup`.
template <bool shareable>
[[noreturn]] inline VALUE refuse_to_allocate(VALUE klass) {
  rb_raise(rb_eTypeError,
           shareable ? "a %" PRIsVALUE " is neither allocated nor copied by Ruby: freeze it before it is passed to "
                       "another Ractor (Ractor.make_shareable)"
                     : "a %" PRIsVALUE " is neither allocated nor copied by Ruby, and not passed to another Ractor: "
                       "create one in each Ractor that needs it (its C++ class can define ruby_shareable)",
           klass);
}

// The method by which Marshal, and a Ruby that copies objects for other Ractors with it, asks for the content.
template <bool shareable>
[[noreturn]] inline VALUE refuse_to_dump(VALUE self) {
  refuse_to_allocate<shareable>(rb_obj_class(self));
}

// For dfree functions: the collector must not wait for a thread that waits for Ruby.
template <class T>
void destroy_elsewhere(T* object) noexcept {
  try {
    start_thread([object] { delete object; }).detach();
  } catch (std::system_error const&) {  // Too many threads. Joining here could wait forever.
  } catch (std::bad_alloc const&) {
  }
}

}  // namespace detail

/// A native_object<T> is a Ruby object that owns a C++ one.
///
/// T defines its name: `static constexpr char const* ruby_name`. If T is safe for concurrent use,
/// it may define `static constexpr bool ruby_shareable = true`: frozen objects may then be shared
/// between Ractors (see wrap_shareable).
///
/// ~T may run in any Ruby thread of any Ractor, while a collection sweeps. On Ruby 3.1 to 3.4, the
/// threads of other Ractors run concurrently. ~T must not call Ruby, block, or take a lock that a
/// thread may hold while it calls Ruby. It must synchronise access to state outside the object
/// (atomics, a responder, a shared_ptr).
///
/// When the process ends, Ruby destroys all its objects, in any order, while native threads still
/// run. A native thread that uses something of a T shares its ownership (std::shared_ptr), or
/// belongs to the same T.
///
/// If T owns a native_thread, or if its destructor waits for anything else, define `static
/// constexpr bool ruby_owns_threads = true`: a native thread then destroys the object while Ruby
/// continues. The process does not wait for that thread when it ends. If no thread can be started,
/// the object is leaked. An object that owns a native_thread without this constant ends the
/// program when it is collected.
///
/// A T that holds VALUEs defines `void mark() const noexcept`, which calls rb_gc_mark for each of
/// them, under the same rules as ~T. Its objects are marked in every collection. If T tells Ruby of every VALUE
/// that it stores, with RB_OBJ_WRITTEN(self, Qundef, value) after the store, it may define `static constexpr bool
/// ruby_write_barriers = true`: old objects are then skipped by minor collections, as Ruby's own are. Shareable
/// objects with VALUEs must do so where each Ractor has its own heap.
///
/// Threads: `wrap` and `get` need the GVL of the object's Ractor; `define_class` is for KINO_EXTENSION.
///
/// Example (needs Ruby):
///
///     using meter_object = kino::native_object<meter>;
///     VALUE create(kino::gvl const& held, VALUE klass) {
///       return meter_object::wrap(held, klass, std::make_unique<meter>());
///     }
///     KINO_EXTENSION(gauges) {
///       VALUE const klass = meter_object::define_class(held, rb_define_module("Gauges"), "Meter");
///       kino::define_function<create>(klass, "new");
///     }
///
template <class T>
class native_object {
  static_assert(requires { static_cast<char const*>(T::ruby_name); },
                "a native object's class must define `static constexpr char const* ruby_name`");

public:
  /// Defines the class `under::name`. Only `wrap` creates its instances: `allocate`, `dup`, and passing an instance
  /// that is not frozen to another Ractor raise a TypeError that says what to do.
  [[nodiscard]] static VALUE define_class(gvl const& held, VALUE under, char const* name, VALUE super = rb_cObject) {
    VALUE klass = Qnil;
    protect(held, [&] {
      klass = rb_define_class_under(under, name, super);
      rb_define_alloc_func(klass, &detail::refuse_to_allocate<shareable>);
      rb_define_private_method(klass, "_dump_data", RUBY_METHOD_FUNC(&detail::refuse_to_dump<shareable>), 0);
    });
    return klass;
  }

  /// Creates an instance of `klass` that owns `object`. If `klass` is not from define_class, call
  /// rb_undef_alloc_func for it, so Ruby code cannot create an empty instance.
  [[nodiscard]] static VALUE wrap(gvl const& held, VALUE klass, std::unique_ptr<T> object) {
    if (!RB_TYPE_P(klass, T_CLASS)) {
      throw raise(rb_eTypeError, std::string("kino: a ") + T::ruby_name + " is wrapped in an instance of a class, and " +
                                     "what was passed is none");
    }
    VALUE const wrapped = protect(
        held, [klass] { return rb_data_typed_object_wrap(klass, nullptr, &type); });
    RTYPEDDATA_DATA(wrapped) = object.release();
    return wrapped;
  }

  /// Creates a frozen, shareable instance, which may be passed to `Ractor.new` and kept in a
  /// constant.
  [[nodiscard]] static VALUE wrap_shareable(gvl const& held, VALUE klass,
                                            std::unique_ptr<T> object) {
    static_assert(shareable,
                  "wrap_shareable requires a T that is safe for concurrent use and defines "
                  "`static constexpr bool ruby_shareable = true`");
    VALUE const wrapped = wrap(held, klass, std::move(object));
    return protect(held, [wrapped] { return rb_ractor_make_shareable(wrapped); });
  }

  /// The C++ object that `value` owns. Raises TypeError if `value` is not a native_object<T>.
  [[nodiscard]] static T& get(gvl const& held, VALUE value) {
    if (!rb_typeddata_is_kind_of(value, &type)) {
      protect(held, [value] { rb_check_typeddata(value, &type); });
    }
    auto* const object = static_cast<T*>(RTYPEDDATA_DATA(value));
    if (!object) throw raise(rb_eTypeError, std::string(T::ruby_name) + " is not initialized");
    return *object;
  }

private:
  static constexpr bool shareable = [] {
    if constexpr (requires { T::ruby_shareable; }) {
      return T::ruby_shareable;
    } else {
      return false;
    }
  }();
  static constexpr bool marks = requires(T const& object) { object.mark(); };
  static_assert(std::is_nothrow_destructible_v<T>,
                "the destructor of a native object must not throw: the collector calls it");
  static_assert(!marks || requires(T const& object) { { object.mark() } noexcept; },
                "mark must be `void mark() const noexcept`: the collector calls it");

  static constexpr bool owns_threads = [] {
    if constexpr (requires { T::ruby_owns_threads; }) {
      return T::ruby_owns_threads;
    } else {
      return false;
    }
  }();

  static constexpr bool has_write_barriers = [] {
    if constexpr (requires { T::ruby_write_barriers; }) {
      return T::ruby_write_barriers;
    } else {
      return false;
    }
  }();

  static void free(void* data) noexcept {
    auto* const object = static_cast<T*>(data);
    if constexpr (owns_threads) {
      if (object) detail::destroy_elsewhere(object);
    } else {
      detail::in_free_function = true;
      delete object;
      detail::in_free_function = false;
    }
  }
  static void mark(void* data) noexcept {
    if constexpr (marks) {
      if (data) static_cast<T const*>(data)->mark();
    }
  }

  static rb_data_type_t make_type() {
    rb_data_type_t made{};
    made.wrap_struct_name = T::ruby_name;
    made.function.dmark = marks ? &mark : nullptr;
    made.function.dfree = &free;
    made.flags = RUBY_TYPED_FREE_IMMEDIATELY;
    // Creating an object without write barriers takes the VM lock. Objects without VALUEs need no
    // barriers; the others need one for every VALUE they store.
    if (!marks || has_write_barriers) made.flags |= RUBY_TYPED_WB_PROTECTED;
    if (shareable) made.flags |= RUBY_TYPED_FROZEN_SHAREABLE;
    return made;
  }
  static inline rb_data_type_t const type = make_type();
};

KINO_NAMESPACE_END
