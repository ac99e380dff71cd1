// SPDX-License-Identifier: MIT
//
// error: a method returns a VALUE, and this one returns another type: declare it as VALUE, and convert

#include <kino/extension.hpp>

static auto answer(kino::gvl const&, VALUE, VALUE) { return 42L; }

KINO_EXTENSION(rejected) { kino::define_function<answer>(rb_cObject, "answer"); }
