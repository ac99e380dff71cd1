// SPDX-License-Identifier: MIT
//
// error: the destructor of a native object must not throw: the collector calls it

#include <kino/extension.hpp>

struct counter {
  static constexpr char const* ruby_name = "Counter";
  ~counter() noexcept(false) {}
};

VALUE make(kino::gvl const& held, VALUE klass) {
  return kino::native_object<counter>::wrap(held, klass, std::make_unique<counter>());
}
