// SPDX-License-Identifier: MIT
//
// Gives a test access to a private member if no public one exposes the state to await or set up. It
// relies on the rule that names in an explicit instantiation are not checked for access.

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
