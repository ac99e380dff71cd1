// SPDX-License-Identifier: MIT
//
// convert.hpp for the tests: every conversion, to C++ and back.

#include <kino/convert.hpp>
#include <kino/extension.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace {

template <class T>
VALUE round_trip(kino::gvl const& held, VALUE, VALUE value) {
  return kino::to_ruby(held, kino::from_ruby<T>(held, value));
}

VALUE binary(kino::gvl const& held, VALUE, VALUE text) {
  VALUE const copy = kino::to_ruby(held, kino::bytes_of(held, text), rb_ascii8bit_encoding());
  RB_GC_GUARD(text);
  return copy;
}

VALUE literal(kino::gvl const& held, VALUE) { return kino::to_ruby(held, "gr\xc3\xbc\xc3\x9f"); }

}  // namespace

KINO_EXTENSION(conversions) {
  VALUE const all = rb_define_module("Conversions");
  kino::define_function<round_trip<std::int8_t>>(all, "int8");
  kino::define_function<round_trip<std::uint8_t>>(all, "uint8");
  kino::define_function<round_trip<std::int16_t>>(all, "int16");
  kino::define_function<round_trip<std::uint16_t>>(all, "uint16");
  kino::define_function<round_trip<std::int32_t>>(all, "int32");
  kino::define_function<round_trip<std::uint32_t>>(all, "uint32");
  kino::define_function<round_trip<std::int64_t>>(all, "int64");
  kino::define_function<round_trip<std::uint64_t>>(all, "uint64");
  kino::define_function<round_trip<long long>>(all, "long_long");
  kino::define_function<round_trip<unsigned long long>>(all, "unsigned_long_long");
  kino::define_function<round_trip<double>>(all, "double");
  kino::define_function<round_trip<bool>>(all, "bool");
  kino::define_function<round_trip<std::string>>(all, "string");
  kino::define_function<round_trip<std::optional<std::int8_t>>>(all, "optional");
  kino::define_function<binary>(all, "binary");
  kino::define_function<literal>(all, "literal");
}
