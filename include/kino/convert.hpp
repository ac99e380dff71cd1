// SPDX-License-Identifier: MIT
//
// from_ruby and to_ruby: checked conversions between C++ values and Ruby objects.

#pragma once

#include <kino/detail/ruby/boundary.hpp>
#include <kino/gvl.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

KINO_NAMESPACE_BEGIN

namespace detail {

template <class T>
concept convertible_integer =
    std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> &&
    !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> && !std::same_as<T, char16_t> &&
    !std::same_as<T, char32_t> && sizeof(T) <= sizeof(std::uint64_t);

[[noreturn]] inline void wrong_class(gvl const& held, VALUE value, char const* wanted) {
  char const* name = nullptr;
  if (!NIL_P(value)) protect(held, [&] { name = rb_obj_classname(value); });
  throw raise(rb_eTypeError, std::string("kino: expected ") + wanted + ", not " +
                                 (name ? name : "nil"));
}

template <convertible_integer T>
[[noreturn]] void out_of_range(std::string const& number) {
  using limits = std::numeric_limits<T>;
  throw raise(rb_eRangeError, "kino: " + number + " is out of range " +
                                  std::to_string(limits::min()) + ".." + std::to_string(limits::max()));
}

template <convertible_integer T>
T integer_from(gvl const& held, VALUE value) {
  if (RB_FIXNUM_P(value)) {
    long const number = RB_FIX2LONG(value);
    if (!std::in_range<T>(number)) out_of_range<T>(std::to_string(number));
    return static_cast<T>(number);
  }
  if (!RB_TYPE_P(value, T_BIGNUM)) wrong_class(held, value, "an Integer");
  std::uint64_t magnitude = 0;
  // Returns the sign, doubled on overflow of 64 bits: -2, -1, 0, 1, 2. It never raises.
  int const sign = rb_integer_pack(value, &magnitude, 1, sizeof magnitude, 0,
                                   INTEGER_PACK_NATIVE_BYTE_ORDER);
  constexpr std::uint64_t lowest = std::uint64_t{1} << 63;
  if (sign == 1 && std::in_range<T>(magnitude)) return static_cast<T>(magnitude);
  if (sign == -1 && magnitude <= lowest) {
    auto const number = static_cast<std::int64_t>(0 - magnitude);
    if (std::in_range<T>(number)) return static_cast<T>(number);
  }
  out_of_range<T>("an Integer of that size");
}

template <class T>
struct conversion {
  static_assert(convertible_integer<T>,
                "kino::from_ruby<T> and kino::to_ruby support integers, double, bool, std::string and "
                "std::optional of them; for a view of a String's bytes see kino::bytes_of");
  static T from(gvl const& held, VALUE value) { return integer_from<T>(held, value); }
};

template <>
struct conversion<double> {
  static double from(gvl const& held, VALUE value) {
    if (RB_FLOAT_TYPE_P(value)) return rb_float_value(value);
    if (RB_FIXNUM_P(value)) return static_cast<double>(RB_FIX2LONG(value));
    if (!RB_TYPE_P(value, T_BIGNUM)) wrong_class(held, value, "a Float or an Integer");
    double number = 0;
    protect(held, [&] { number = rb_big2dbl(value); });
    return number;
  }
};

template <>
struct conversion<bool> {
  static bool from(gvl const& held, VALUE value) {
    if (value != Qtrue && value != Qfalse) wrong_class(held, value, "true or false");
    return value == Qtrue;
  }
};

}  // namespace detail

/// bytes_of returns a view of a String's bytes; raises TypeError for anything else.
///
/// The view is valid until Ruby code runs again, in this thread or in any thread that can reach
/// the String: it may change or free the bytes. To keep them, copy them
/// (from_ruby<std::string>). While you use the view, keep `value` on the stack: put
/// RB_GC_GUARD(value) after the last use.
[[nodiscard]] inline std::string_view bytes_of(gvl const& held, VALUE value) {
  if (!RB_TYPE_P(value, T_STRING)) detail::wrong_class(held, value, "a String");
  return {RSTRING_PTR(value), static_cast<std::size_t>(RSTRING_LEN(value))};
}

/// from_ruby<T> converts `value` to a T; raises TypeError or RangeError if it cannot.
///
/// | T | accepts | rejects |
/// | --- | --- | --- |
/// | an integer of up to 64 bits | an Integer | a number that T cannot hold: RangeError |
/// | double | a Float, an Integer | |
/// | bool | true, false | |
/// | std::string | the bytes of a String in any encoding | |
/// | std::optional<T> | nil, and what T accepts | what T rejects |
///
/// Anything else raises TypeError: conversion calls no methods and runs no Ruby code. For the id
/// of a registry, T is std::uint64_t.
///
/// GVL:    needed.
/// Blocks: never.
/// Throws: kino::raise; std::bad_alloc for a std::string.
///
/// Example (needs Ruby):
///
///     VALUE find(kino::gvl const& held, VALUE, VALUE id) {
///       auto const found = names.find(kino::from_ruby<std::uint64_t>(held, id));
///       return found ? kino::to_ruby(held, *found) : Qnil;
///     }
///
template <class T>
[[nodiscard]] T from_ruby(gvl const& held, VALUE value) {
  return detail::conversion<T>::from(held, value);
}

namespace detail {

template <>
struct conversion<std::string> {
  static std::string from(gvl const& held, VALUE value) {
    return std::string(bytes_of(held, value));
  }
};
template <class T>
struct conversion<std::optional<T>> {
  static std::optional<T> from(gvl const& held, VALUE value) {
    if (NIL_P(value)) return std::nullopt;
    return from_ruby<T>(held, value);
  }
};

}  // namespace detail

/// to_ruby converts an integer, a double or a bool to its Ruby object.
///
/// Do not pass a VALUE: it would be converted as an integer. Throws ruby_error (NoMemoryError).
template <class T>
  requires(detail::convertible_integer<T> || std::same_as<T, double> || std::same_as<T, bool>)
[[nodiscard]] VALUE to_ruby(gvl const& held, T value) {
  if constexpr (std::same_as<T, bool>) {
    return value ? Qtrue : Qfalse;
  } else if constexpr (std::same_as<T, double>) {
    return protect(held, [value] { return rb_float_new(value); });
  } else if constexpr (std::signed_integral<T>) {
    if (RB_FIXABLE(value)) return RB_LONG2FIX(static_cast<long>(value));
    return protect(held, [value] { return LL2NUM(value); });
  } else {
    if (RB_POSFIXABLE(value)) return RB_LONG2FIX(static_cast<long>(value));
    return protect(held, [value] { return ULL2NUM(value); });
  }
}

/// to_ruby creates a String of `bytes`, in UTF-8 or in `encoding` (rb_ascii8bit_encoding() for
/// binary data). The bytes are not validated; `valid_encoding?` in Ruby does.
[[nodiscard]] inline VALUE to_ruby(gvl const& held, std::string_view bytes,
                                   rb_encoding* encoding = rb_utf8_encoding()) {
  return protect(held, [=] {
    return rb_enc_str_new(bytes.data(), static_cast<long>(bytes.size()), encoding);
  });
}
/// to_ruby of a NUL-terminated string, in UTF-8.
[[nodiscard]] inline VALUE to_ruby(gvl const& held, char const* text) {
  KINO_ASSERT(text, "to_ruby is given a C string: this one is null; return Qnil for none");
  return to_ruby(held, std::string_view(text));
}

/// to_ruby of an empty optional is nil.
template <class T>
[[nodiscard]] VALUE to_ruby(gvl const& held, std::optional<T> const& value) {
  return value ? to_ruby(held, *value) : Qnil;
}

KINO_NAMESPACE_END
