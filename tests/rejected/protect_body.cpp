// SPDX-License-Identifier: MIT
//
// error: the body of kino::protect returns a VALUE or nothing

#include <kino/gvl.hpp>

long number(kino::gvl const& held, VALUE value) {
  return kino::protect(held, [&] { return NUM2LONG(value); });
}
