// SPDX-License-Identifier: MIT

#include <kino/detail/fork.hpp>

#include "../support/in_child.hpp"

#include <doctest/doctest.h>

TEST_CASE("a mark knows the process in which it was made") {
  kino::detail::fork_mark const mark;
  CHECK(!mark.forked());
  CHECK(in_child([&] { return mark.forked(); }));
  CHECK(!mark.forked());
}

TEST_CASE("a mark made in a child belongs to the child, and is foreign in the grandchild") {
  kino::detail::fork_mark const mark;
  CHECK(in_child([&] {
    kino::detail::fork_mark const childs;
    return mark.forked() && !childs.forked() &&
           in_child([&] { return mark.forked() && childs.forked(); });
  }));
}
