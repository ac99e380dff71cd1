// SPDX-License-Identifier: MIT
//
// error: a method must be a function VALUE(kino::gvl const& held, VALUE self, VALUE a, ...)

#include <kino/extension.hpp>

static VALUE twice(VALUE number) { return LONG2NUM(2 * NUM2LONG(number)); }

KINO_EXTENSION(rejected) { kino::define_function<twice>(rb_cObject, "twice"); }
