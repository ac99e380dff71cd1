// SPDX-License-Identifier: MIT

#include "base/output_buffer.hpp"

#include "../support/broken_disk.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <system_error>

using kino::server::output_buffer;
using kino::server::spool_file;

namespace {

struct place {
  std::shared_ptr<broken_disk> const disk = std::make_shared<broken_disk>();
  spool_file file{disk};
};

std::string bytes_of(std::size_t first, std::size_t length) {
  std::string all(length, '\0');
  for (std::size_t i = 0; i < length; ++i) all[i] = static_cast<char>((first + i) * 31 % 251);
  return all;
}

}  // namespace

TEST_CASE("bytes come out in order, wherever they were meanwhile") {
  place at;
  at.disk->most = 50'000;  // short writes and reads
  stress::dice chance(3);
  for (int round = 0; round < 50; ++round) {
    output_buffer waiting;
    std::size_t first = 0, end = 0;
    for (int step = 0; step < 200; ++step) {
      if (chance.once_in(2)) {
        std::size_t const length = chance.below(chance.once_in(8) ? 300'000 : 3000);
        waiting.append(bytes_of(end, length));
        end += length;
        if (chance.once_in(4)) {
          // A disk that fails now and then.
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
        REQUIRE(some == bytes_of(first, some.size()));
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

TEST_CASE("bytes that cannot be read from the file are an error, and still there") {
  place at;
  output_buffer waiting;
  waiting.append("bytes");
  waiting.spill(at.file);
  at.disk->read_error = EIO;
  CHECK_THROWS_AS(static_cast<void>(waiting.first()), std::system_error);
  at.disk->read_error = 0;
  CHECK(waiting.first() == "bytes");
}
