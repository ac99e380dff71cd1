// SPDX-License-Identifier: MIT
//
// error: the body of kino::boundary must return a VALUE: convert what it returns

#include <kino/extension.hpp>

VALUE each(VALUE number, VALUE, int, VALUE const*, VALUE) {
  return kino::boundary([=](kino::gvl const&) { return NUM2LONG(number) + 1; });
}
