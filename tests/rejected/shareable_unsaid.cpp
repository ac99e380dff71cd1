// SPDX-License-Identifier: MIT
//
// error: wrap_shareable is for a T that several threads may use at the same time

#include <kino/extension.hpp>

struct counter {
  static constexpr char const* ruby_name = "Counter";
};

VALUE make(kino::gvl const& held, VALUE klass) {
  return kino::native_object<counter>::wrap_shareable(held, klass, std::make_unique<counter>());
}
