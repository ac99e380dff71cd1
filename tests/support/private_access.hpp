// SPDX-License-Identifier: MIT
//
// A test's way to a private member, where no public one shows what has to be awaited or set up.
// Names in an explicit instantiation are not checked for access; that is all it rests on.

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
