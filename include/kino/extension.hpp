// SPDX-License-Identifier: MIT
//
// KINO_EXTENSION, methods and native objects: exposing C++ to Ruby.

#pragma once

#include <kino/detail/blocking.hpp>
#include <kino/detail/ruby/boundary.hpp>
#include <kino/detail/ruby/gvl_release.hpp>
#include <kino/start_thread.hpp>

#include <concepts>
#include <memory>
#include <new>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>

/// KINO_EXTENSION(name) { ... } is the entry point of the extension `name`.
///
/// Ruby calls the body when it requires `name`, with `gvl const& held` in scope. The macro exports
/// exactly `Init_name`, marks the extension as Ractor-safe before any method is defined, and
/// converts C++ exceptions to Ruby ones. By using it you assert that the methods are Ractor-safe:
/// they keep their shared state in kino's classes or in their own atomics and locks.
///
/// Example (needs Ruby):
///
///     VALUE twice(kino::gvl const&, VALUE, VALUE number) {
///       return LONG2NUM(2 * NUM2LONG(number));
///     }
///
///     KINO_EXTENSION(example) {
///       kino::define_function<twice>(rb_define_module("Example"), "twice");
///     }
///
#define KINO_EXTENSION(name)                                                             \
  static void kino_extension_##name(::kino::gvl const& held);                            \
  extern "C" {                                                                           \
  RUBY_FUNC_EXPORTED void Init_##name(void);                                             \
  void Init_##name(void) {                                                               \
    ::kino::detail::start_extension(&kino_extension_##name);                             \
  }                                                                                      \
  }                                                                                      \
  static void kino_extension_##name([[maybe_unused]] ::kino::gvl const& held)

KINO_NAMESPACE_BEGIN

/// The arguments of a variadic method.
using arguments = std::span<VALUE const>;

namespace detail {

inline void start_extension(void (*body)(gvl const&)) {
  rb_ext_ractor_safe(true);
  // relaxed, all: only the value itself is published, and no thread of ours exists yet.
  gvl_probe.store(&holds_gvl, std::memory_order_relaxed);
  gvl_releaser.store(&release_gvl_for, std::memory_order_relaxed);
  rb_set_end_proc([](VALUE) { process_ends.store(true, std::memory_order_relaxed); }, Qnil);
  ruby_vm_at_exit([](ruby_vm_t*) { ruby_has_ended.store(true, std::memory_order_relaxed); });
  cross_boundary([body](gvl const& held) {
    body(held);
    return Qnil;
  });
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

template <auto Function>
struct method {
  static_assert(sizeof(Function) == 0,
                "a method must be a function VALUE(kino::gvl const& held, VALUE self, VALUE a, ...)"
                " or VALUE(kino::gvl const& held, VALUE self, kino::arguments all)");
  static constexpr int arity = 0;
  static VALUE call(VALUE) { return Qnil; }
};

template <std::same_as<VALUE>... Values, VALUE (*Function)(gvl const&, VALUE, Values...)>
struct method<Function> {
  static constexpr int arity = sizeof...(Values);
  static VALUE call(VALUE self, Values... values) {
    return cross_boundary([=](gvl const& held) { return Function(held, self, values...); });
  }
};

template <VALUE (*Function)(gvl const&, VALUE, arguments)>
struct method<Function> {
  static constexpr int arity = -1;
  static VALUE call(int count, VALUE const* values, VALUE self) {
    return cross_boundary([=](gvl const& held) {
      return Function(held, self, arguments(values, static_cast<std::size_t>(count)));
    });
  }
};

template <auto Function>
auto entry() {
  return reinterpret_cast<VALUE (*)(ANYARGS)>(&method<Function>::call);
}

// In parentheses, both: macros of Ruby's C++ headers with these names do not accept our types.
template <auto Function>
void define_function(VALUE module, char const* name) {
  (rb_define_singleton_method)(module, name, entry<Function>(), method<Function>::arity);
}
template <auto Function>
void define_method(VALUE klass, char const* name) {
  (rb_define_method)(klass, name, entry<Function>(), method<Function>::arity);
}

template <class... Values>
using method_of = VALUE (*)(gvl const&, VALUE, Values...);

// The signatures with overloads of their own below.
template <auto Function>
inline constexpr bool may_be_overloaded =
    std::is_same_v<decltype(Function), method_of<>> ||
    std::is_same_v<decltype(Function), method_of<VALUE>> ||
    std::is_same_v<decltype(Function), method_of<VALUE, VALUE>> ||
    std::is_same_v<decltype(Function), method_of<arguments>>;

}  // namespace detail

/// \cond
// Typed, so the name may also be one of the C library: `close`, `read`, `send`.
#define KINO_DETAIL_TYPED_OVERLOADS(define)                                              \
  template <detail::method_of<> Function>                                                \
  void define(VALUE to, char const* name) {                                              \
    detail::define<Function>(to, name);                                                  \
  }                                                                                      \
  template <detail::method_of<VALUE> Function>                                           \
  void define(VALUE to, char const* name) {                                              \
    detail::define<Function>(to, name);                                                  \
  }                                                                                      \
  template <detail::method_of<VALUE, VALUE> Function>                                    \
  void define(VALUE to, char const* name) {                                              \
    detail::define<Function>(to, name);                                                  \
  }                                                                                      \
  template <detail::method_of<arguments> Function>                                       \
  void define(VALUE to, char const* name) {                                              \
    detail::define<Function>(to, name);                                                  \
  }
/// \endcond

/// define_function<Function>(module, name) defines a function of `module`: Module.name(...).
///
/// `Function` is `VALUE (gvl const& held, VALUE self, VALUE a, VALUE b, ...)`, or
/// `VALUE (gvl const& held, VALUE self, kino::arguments all)` for any number of arguments. An
/// exception that it throws becomes a Ruby exception:
///
/// | C++ | Ruby |
/// | --- | --- |
/// | kino::raise | the class that it names |
/// | std::invalid_argument | ArgumentError |
/// | std::out_of_range | IndexError |
/// | std::system_error | an Errno |
/// | std::bad_alloc | NoMemoryError |
/// | anything else | RuntimeError |
///
/// Ruby calls that raise leave the function by longjmp: make them inside `kino::protect`, or where
/// no destructor that matters is pending.
template <auto Function>
  requires(!detail::may_be_overloaded<Function>)
void define_function(VALUE module, char const* name) {
  detail::define_function<Function>(module, name);
}
/// \cond
KINO_DETAIL_TYPED_OVERLOADS(define_function)
/// \endcond

/// define_method<Function>(klass, name) defines an instance method of `klass`; see define_function.
template <auto Function>
  requires(!detail::may_be_overloaded<Function>)
void define_method(VALUE klass, char const* name) {
  detail::define_method<Function>(klass, name);
}
/// \cond
KINO_DETAIL_TYPED_OVERLOADS(define_method)
/// \endcond
#undef KINO_DETAIL_TYPED_OVERLOADS

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
/// If T owns a native_thread, or if its destructor waits for anything else, define `static
/// constexpr bool ruby_owns_threads = true`: a native thread then destroys the object while Ruby
/// continues. The process does not wait for that thread when it ends. If no thread can be started,
/// the object is leaked. An object that owns a native_thread without this constant ends the
/// program when it is collected.
///
/// A T that holds VALUEs defines `void mark() const noexcept`, which calls rb_gc_mark for each of
/// them, under the same rules as ~T.
///
/// Threads: `wrap` and `get` need the GVL of the object's Ractor.
template <class T>
class native_object {
  static_assert(requires { static_cast<char const*>(T::ruby_name); },
                "a native object's class must define `static constexpr char const* ruby_name`");

public:
  /// Creates an instance of `klass` that owns `object`. Call rb_undef_alloc_func for `klass`, so
  /// Ruby code cannot create an empty instance.
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
    // barriers; the others would need one for every VALUE they store.
    if (!marks) made.flags |= RUBY_TYPED_WB_PROTECTED;
    if (shareable) made.flags |= RUBY_TYPED_FROZEN_SHAREABLE;
    return made;
  }
  static inline rb_data_type_t const type = make_type();
};

KINO_NAMESPACE_END
