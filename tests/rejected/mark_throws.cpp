// SPDX-License-Identifier: MIT
//
// error: mark must be `void mark() const noexcept`: the collector calls it

#include <kino/extension.hpp>

struct box {
  static constexpr char const* ruby_name = "Box";
  VALUE content = Qnil;
  void mark() const { rb_gc_mark(content); }
};

VALUE make(kino::gvl const& held, VALUE klass) {
  return kino::native_object<box>::wrap(held, klass, std::make_unique<box>());
}
