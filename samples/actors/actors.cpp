// SPDX-License-Identifier: MIT
//
// The extension of the gem kino-actors: mailboxes that all Ractors share, and what waits for them. The rest is Ruby.

#include "ref.hpp"

KINO_EXTENSION(kino_actors) {
  kept_objects = new kino::shareable_set(held);
  VALUE const actors = rb_define_module("Actors");
  VALUE const native = rb_define_module_under(actors, "Native");
  define_refs(held, actors, native);
  define_messages(held, actors, native);
}
