// SPDX-License-Identifier: MIT
//
// error: the body of kino::protect must return a VALUE or void

#include <kino/gvl.hpp>

long number(kino::gvl const& held, VALUE value) {
  return kino::protect(held, [&] { return NUM2LONG(value); });
}
