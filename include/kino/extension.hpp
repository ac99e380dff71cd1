// SPDX-License-Identifier: MIT
//
// KINO_EXTENSION, methods and native objects: exposing C++ to Ruby.

#pragma once

#include <kino/detail/blocking.hpp>
#include <kino/detail/ruby/boundary.hpp>
#include <kino/detail/ruby/gvl_release.hpp>
#include <kino/detail/ruby/native_object.hpp>

#include <concepts>
#include <span>
#include <type_traits>
#include <utility>

/// KINO_EXTENSION(name) { ... } is the entry point of the extension `name`.
///
/// Ruby calls the body when it requires `name`, with `gvl const& held` in scope. The macro exports
/// exactly `Init_name`, marks the extension as Ractor-safe before any method is defined, and
/// converts C++ exceptions to Ruby ones. By using it you assert that the methods are Ractor-safe:
/// they keep their shared state in kino's classes or in their own atomics and locks. In a Ruby of
/// another version than the one that the extension was compiled for, it raises LoadError.
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

// Ruby compares the ABI only of its development versions; others would crash in the first function that has changed.
inline void refuse_another_ruby() {
  if (ruby_api_version[0] == RUBY_API_VERSION_MAJOR && ruby_api_version[1] == RUBY_API_VERSION_MINOR) return;
  rb_raise(rb_eLoadError, "this extension was compiled for Ruby %d.%d, and cannot be loaded by Ruby %d.%d: compile it again",
           RUBY_API_VERSION_MAJOR, RUBY_API_VERSION_MINOR, ruby_api_version[0], ruby_api_version[1]);
}

inline void start_extension(void (*body)(gvl const&)) {
  refuse_another_ruby();
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

template <auto Function>
struct method {
  static_assert(sizeof(Function) == 0,
                "a method must be a function VALUE(kino::gvl const& held, VALUE self, VALUE a, ...)"
                " or VALUE(kino::gvl const& held, VALUE self, kino::arguments all)");
  static constexpr int arity = 0;
  static VALUE call(VALUE) { return Qnil; }
};

// In a function with a deduced return type, the type of `return 42;` is int.
template <class Result, class... Values, Result (*Function)(gvl const&, VALUE, Values...)>
  requires(!std::same_as<Result, VALUE>)
struct method<Function> {
  static_assert(sizeof(Function) == 0,
                "a method returns a VALUE, and this one returns another type: declare it as VALUE, and convert "
                "what it returns with kino::to_ruby(held, ...), or return Qnil");
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

KINO_NAMESPACE_END
