// SPDX-License-Identifier: MIT
//
// error: wrap_shareable requires a T that is safe for concurrent use

#include <kino/extension.hpp>

struct counter {
  static constexpr char const* ruby_name = "Counter";
};

VALUE make(kino::gvl const& held, VALUE klass) {
  return kino::native_object<counter>::wrap_shareable(held, klass, std::make_unique<counter>());
}
