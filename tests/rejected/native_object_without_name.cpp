// SPDX-License-Identifier: MIT
//
// error: a native object's class must define `static constexpr char const* ruby_name`

#include <kino/extension.hpp>

struct counter {};

VALUE make(kino::gvl const& held, VALUE klass) {
  return kino::native_object<counter>::wrap(held, klass, std::make_unique<counter>());
}
