// SPDX-License-Identifier: MIT
//
// Gives a test access to a private member whose state it awaits or sets up, if no public member exposes that state. Relies
// on the rule that access is not checked in explicit instantiations.

#pragma once

/// KINO_TEST_REACH(name, class, member) makes `name(object)` a reference to the private member.
#define KINO_TEST_REACH(name, type, member)                              \
  namespace {                                                            \
  struct name##_key {                                                    \
    friend auto reach(name##_key);                                       \
  };                                                                     \
  template <auto Member>                                                 \
  struct name##_lock {                                                   \
    friend auto reach(name##_key) { return Member; }                     \
  };                                                                     \
  template struct name##_lock<&type::member>;                            \
  auto& name(type& object) { return object.*reach(name##_key{}); }       \
  }
