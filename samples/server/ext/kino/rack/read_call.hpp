// SPDX-License-Identifier: MIT
//
// What IO#read and its kind are called with, and return.

#pragma once

#include <kino/convert.hpp>
#include <kino/extension.hpp>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace kino::server {

/// A read_call is the arguments of `read(length = nil, buffer = nil)`. Throws: std::invalid_argument; TypeError.
struct read_call {
  VALUE length;
  VALUE buffer;

  [[nodiscard]] static read_call of(gvl const& held, kino::arguments all) {
    if (all.size() > 2) throw std::invalid_argument("kino: read takes a length and a buffer");
    VALUE const buffer = all.size() < 2 ? Qnil : all[1];
    if (!NIL_P(buffer)) kino::protect(held, [buffer] { Check_Type(buffer, T_STRING); });
    return {all.empty() ? Qnil : all[0], buffer};
  }
};

/// The number in `length`. Throws: std::invalid_argument if it is negative; TypeError.
[[nodiscard]] inline std::size_t read_length(gvl const& held, VALUE length) {
  long wanted = 0;
  kino::protect(held, [&] { wanted = NUM2LONG(length); });
  if (wanted < 0) throw std::invalid_argument("kino: negative length " + std::to_string(wanted));
  return static_cast<std::size_t>(wanted);
}

/// Puts `bytes` into `buffer`, or into a new String for nil.
inline VALUE read_result(gvl const& held, VALUE buffer, std::string_view bytes) {
  if (NIL_P(buffer)) return kino::to_ruby(held, bytes, rb_ascii8bit_encoding());
  return kino::protect(held, [&] {
    rb_str_resize(buffer, 0);
    rb_enc_associate(buffer, rb_ascii8bit_encoding());
    return rb_str_cat(buffer, bytes.data(), static_cast<long>(bytes.size()));
  });
}

}  // namespace kino::server
