// SPDX-License-Identifier: MIT
//
// Kino::Counter: a number that Ractors share.

#pragma once

#include <kino/dispatch.hpp>

/// Defines Kino::Counter; lib/kino/collections/counter.rb completes it.
void define_counter(kino::gvl const& held, VALUE kino);
