// SPDX-License-Identifier: MIT

#include "base/spooled_bytes.hpp"

#include "../support/broken_disk.hpp"
#include "../support/numbered.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <system_error>

using kino::server::spool_file;
using kino::server::spooled_bytes;

namespace {

constexpr std::size_t extent = spool_file::extent_size;

std::string read(spooled_bytes const& from, std::uint64_t at, std::size_t length) {
  std::string bytes(length, '\0');
  from.read(at, bytes.data(), length);
  return bytes;
}

}  // namespace

TEST_CASE("random sequences of append, read and consume keep the bytes in order") {
  broken_spool at;
  at.disk->most = 300'000;  // short writes and reads
  stress::dice chance(7);
  for (int round = 0; round < 20; ++round) {
    spooled_bytes all;
    all.use(at.file);
    std::size_t first = 0, end = 0;  // of what is in it
    for (int step = 0; step < 60; ++step) {
      std::size_t const most = chance.once_in(10) ? 3 * extent : 100'000;
      if (chance.once_in(2)) {
        std::size_t const length = chance.below(static_cast<std::uint32_t>(most));
        all.append(numbered(end, length));
        end += length;
      } else {
        std::size_t const length = std::min<std::size_t>(chance.below(static_cast<std::uint32_t>(most)), end - first);
        std::size_t const from = chance.below(static_cast<std::uint32_t>(end - first - length + 1));
        REQUIRE(read(all, from, length) == numbered(first + from, length));
        REQUIRE(read(all, 0, length) == numbered(first, length));
        all.consume(length);
        first += length;
      }
      REQUIRE(all.size() == end - first);
      REQUIRE(all.empty() == (first == end));
      REQUIRE(at.file.lent() <= all.size() / extent + 2);
    }
  }
  CHECK(at.file.lent() == 0);
}

TEST_CASE("consumed extents are released, the last one with the last byte") {
  broken_spool at;
  spooled_bytes all;
  all.use(at.file);
  all.append(numbered(0, 2 * extent + 1));
  CHECK(at.file.lent() == 3);
  all.consume(extent - 1);
  CHECK(at.file.lent() == 3);
  all.consume(1);
  CHECK(at.file.lent() == 2);
  all.consume(extent);
  CHECK(at.file.lent() == 1);
  all.consume(1);
  CHECK(at.file.lent() == 0);
  CHECK(all.empty());
}

TEST_CASE("if the disk is full, append adds nothing and keeps the earlier bytes") {
  broken_spool at;
  spooled_bytes all;
  all.use(at.file);
  all.append(numbered(0, extent - 10));
  at.disk->write_error = ENOSPC;
  CHECK_THROWS_AS(all.append(numbered(0, 20)), std::system_error);
  CHECK(all.size() == extent - 10);
  CHECK(at.file.lent() == 1);
  at.disk->write_error = 0;
  all.append(numbered(extent - 10, 20));
  CHECK(read(all, 0, extent + 10) == numbered(0, extent + 10));
  at.disk->write_error = ENOSPC;
  CHECK_THROWS_AS(all.append("x"), std::system_error);
  all.clear();
  CHECK(at.file.lent() == 0);
}
