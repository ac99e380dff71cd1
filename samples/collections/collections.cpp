// SPDX-License-Identifier: MIT
//
// The extension of the gem kino-collections.

#include "channel.hpp"
#include "counter.hpp"
#include "map.hpp"

KINO_EXTENSION(kino_collections) {
  VALUE const kino = rb_define_module("Kino");
  define_channel(held, kino);
  define_counter(held, kino);
  define_map(held, kino);
}
