// SPDX-License-Identifier: MIT
//
// An extension that seems to be compiled for a Ruby that does not exist.

#include <kino/detail/ruby/headers.hpp>

#undef RUBY_API_VERSION_MINOR
#define RUBY_API_VERSION_MINOR 99

#include <kino/extension.hpp>

KINO_EXTENSION(other_ruby) { rb_define_module("OtherRuby"); }
