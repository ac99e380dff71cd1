// SPDX-License-Identifier: MIT

#include "observers/route_table.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <set>
#include <string>
#include <thread>
#include <vector>

using kino::server::route_table;
using kino::server::route_times;

TEST_CASE("a pattern always has the same route; further ones than there is room for share one") {
  route_table table(3);
  route_times& first = table.find("/a");
  CHECK(&table.find("/a") == &first);
  CHECK(first.pattern == "/a");
  CHECK(&table.find("/b") != &first);
  CHECK(table.find("").pattern.empty());
  route_times& other = table.find("/d");
  CHECK(other.pattern == "other");
  CHECK(&table.find("/e") == &other);
  CHECK(&table.find("/a") == &first);
}

TEST_CASE("a pattern is printable, and not long") {
  route_table table(10);
  CHECK(table.find("/\n\xff\"x").pattern == "/??\"x");
  CHECK(table.find(std::string(1000, 'x')).pattern == std::string(route_table::longest_pattern, 'x'));
  CHECK(&table.find(std::string(1000, 'x')) == &table.find(std::string(200, 'x')));
}

TEST_CASE("threads that find the same patterns at once find the same routes, and every exchange is counted") {
  constexpr std::size_t patterns = 50, most = 40, threads = 4;
  for (int round = 0; round < 50; ++round) {
    route_table table(most);
    {
      std::vector<std::jthread> all;
      for (std::size_t thread = 0; thread != threads; ++thread) {
        all.emplace_back([&table, thread] {
          for (std::size_t i = 0; i != patterns; ++i) {
            table.find(std::to_string((i + thread * 7) % patterns)).total[2].record(std::chrono::milliseconds(1));
          }
        });
      }
    }
    std::set<std::string> names;
    std::uint64_t counted = 0;
    table.for_each([&](route_times const& route) {
      CHECK(names.insert(route.pattern).second);
      counted += route.total[2].count();
    });
    CHECK(names.size() <= most + 1);
    CHECK(counted == patterns * threads);
  }
}
