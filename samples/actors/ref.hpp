// SPDX-License-Identifier: MIT
//
// Actors::Ref: what Ruby code has of an actor; any number of them refer to the same one.

#pragma once

#include "mailbox.hpp"

#include <kino/dispatch.hpp>

#include <memory>

struct ref {
  static constexpr char const* ruby_name = "Actors::Ref";
  static constexpr bool ruby_shareable = true;
  std::shared_ptr<mailbox> box;
};
using ref_object = kino::native_object<ref>;

/// Keeps the objects in all mailboxes alive. Set up in KINO_EXTENSION.
inline kino::shareable_set* kept_objects = nullptr;

[[nodiscard]] inline std::shared_ptr<mailbox> const& box_of(kino::gvl const& held, VALUE object) {
  return ref_object::get(held, object).box;
}
/// A new Ref of an actor.
[[nodiscard]] VALUE make_ref(kino::gvl const& held, std::shared_ptr<mailbox> box);

/// Defines the functions of Actors::Native; lib/actors has their callers.
void define_refs(kino::gvl const& held, VALUE actors, VALUE native);
void define_messages(kino::gvl const& held, VALUE actors, VALUE native);
