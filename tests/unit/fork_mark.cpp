// SPDX-License-Identifier: MIT

#include <kino/fork_mark.hpp>

#include "../support/in_child.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

TEST_CASE("a mark detects a fork in the child only") {
  kino::fork_mark const mark;
  CHECK(!mark.forked());
  CHECK(in_child([&] { return mark.forked(); }));
  CHECK(!mark.forked());
}

TEST_CASE("a mark made in a child detects the fork of a grandchild") {
  kino::fork_mark const mark;
  CHECK(in_child([&] {
    kino::fork_mark const childs;
    return mark.forked() && !childs.forked() &&
           in_child([&] { return mark.forked() && childs.forked(); });
  }));
}

TEST_CASE("the error in a child names the object made before the fork") {
  kino::fork_mark const mark;
  mark.expect_same_process("well");
  CHECK(in_child([&] {
    try {
      mark.expect_same_process("well");
    } catch (std::runtime_error const& error) {
      return error.what() ==
             std::string("kino: this well was made before fork; make one in the child");
    }
    return false;
  }));
}
