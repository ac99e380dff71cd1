// SPDX-License-Identifier: MIT

#include <kino/detail/usable_cpus.hpp>

#include <doctest/doctest.h>

TEST_CASE("there is at least one usable CPU") { CHECK(kino::detail::usable_cpus() >= 1); }

#ifdef __linux__

TEST_CASE("a thread that may run on one CPU has one usable CPU") {
  cpu_set_t before;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  CHECK(kino::detail::usable_cpus() == 1);
  REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
  CHECK(kino::detail::usable_cpus() <= static_cast<unsigned>(CPU_COUNT(&before)));
}

TEST_CASE("a file that is not there has no first line") {
  CHECK(kino::detail::first_line("/nonexistent/file").empty());
  CHECK(kino::detail::first_line("/proc/self/comm").find('\n') == std::string::npos);
  CHECK(!kino::detail::first_line("/proc/self/comm").empty());
}

TEST_CASE("a control group's quota is not negative") {
  CHECK(kino::detail::cgroup_quota() >= 0);
}

#endif
