// SPDX-License-Identifier: MIT
//
// Kino::Channel: a bounded queue of Ruby objects between Ractors.

#pragma once

#include <kino/dispatch.hpp>

/// Defines Kino::Channel; lib/kino/collections/channel.rb completes it.
void define_channel(kino::gvl const& held, VALUE kino);
