// SPDX-License-Identifier: MIT

#include "base/output_buffer.hpp"

#include "../support/broken_disk.hpp"
#include "../support/numbered.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <system_error>

using kino::server::output_buffer;

TEST_CASE("bytes are consumed in order, whether they were in memory or in the file") {
  broken_spool at;
  at.disk->most = 50'000;  // short writes and reads
  stress::dice chance(3);
  for (int round = 0; round < 50; ++round) {
    output_buffer waiting;
    std::size_t first = 0, end = 0;
    for (int step = 0; step < 200; ++step) {
      if (chance.once_in(2)) {
        std::size_t const length = chance.below(chance.once_in(8) ? 300'000 : 3000);
        waiting.append(numbered(end, length));
        end += length;
        if (chance.once_in(4)) {
          // A disk that sometimes fails.
          at.disk->write_error = chance.once_in(4) ? ENOSPC : 0;
          try {
            waiting.spill(at.file);
            CHECK(waiting.appended() == 0);
          } catch (std::system_error const&) {
          }
        }
      } else {
        bool const all = waiting.contiguous();
        std::string_view const some = waiting.first();
        REQUIRE(some == numbered(first, some.size()));
        REQUIRE((some.empty() == (first == end)));
        if (all) REQUIRE(some.size() == end - first);
        std::size_t const taken = std::min<std::size_t>(some.size(), chance.below(100'000));
        waiting.consume(taken);
        first += taken;
      }
      REQUIRE(waiting.size() == end - first);
      REQUIRE(waiting.empty() == (first == end));
    }
    waiting.clear(0);
    REQUIRE(waiting.empty());
  }
  CHECK(at.file.lent() == 0);
}

TEST_CASE("if bytes cannot be read from the file, first throws and a later call succeeds") {
  broken_spool at;
  output_buffer waiting;
  waiting.append("bytes");
  waiting.spill(at.file);
  at.disk->read_error = EIO;
  CHECK_THROWS_AS(static_cast<void>(waiting.first()), std::system_error);
  at.disk->read_error = 0;
  CHECK(waiting.first() == "bytes");
}
