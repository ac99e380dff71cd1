// SPDX-License-Identifier: MIT
//
// Kino::Map: a hash table of Ruby objects that Ractors share.

#pragma once

#include <kino/dispatch.hpp>

/// Defines Kino::Map; lib/kino/collections/map.rb completes it.
void define_map(kino::gvl const& held, VALUE kino);
