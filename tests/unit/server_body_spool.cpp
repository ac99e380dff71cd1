// SPDX-License-Identifier: MIT

#include "http/body_spool.hpp"

#include "../support/broken_disk.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

using kino::server::body_spool;
using kino::server::spool_file;
using kino::server::temporary_files;

namespace {

std::string bytes_of(std::size_t length) {
  std::string all(length, '\0');
  for (std::size_t i = 0; i < length; ++i) all[i] = static_cast<char>('a' + i * 31 % 26);
  return all;
}

std::string read(body_spool& from, std::size_t most) {
  body_spool::part const part = from.claim(most);
  std::string bytes(part.length, '\0');
  from.copy(part, bytes.data());
  return bytes;
}

}  // namespace

TEST_CASE("a body within the limit uses no file") {
  broken_spool at;
  body_spool spool;
  spool.begin(at.file, 1000);
  spool.append(bytes_of(999));
  spool.append("x");
  CHECK(spool.size() == 1000);
  CHECK(at.disk->opened == 0);
  CHECK(read(spool, SIZE_MAX) == bytes_of(999) + "x");
  CHECK(spool.left() == 0);
  CHECK(read(spool, SIZE_MAX).empty());
}

TEST_CASE("bytes beyond the limit are kept in a file and read in order") {
  broken_spool at;
  body_spool spool;
  spool.begin(at.file, 1000);
  spool.append(bytes_of(12'345));
  CHECK(at.disk->opened == 1);
  CHECK(spool.size() == 12'345);
  std::string all;
  stress::dice dice(1);
  while (spool.left() != 0) all += read(spool, 1 + dice.below(700));
  CHECK(all == bytes_of(12'345));
  CHECK(at.file.lent() == 1);
  spool.reset(0);
  CHECK(at.file.lent() == 0);
}

TEST_CASE("pieces of any size, appended or prepared and committed, are read in order") {
  broken_spool at;
  at.disk->most = 777;  // short writes and reads
  stress::dice dice(42);
  for (int round = 0; round < 500; ++round) {
    body_spool spool;
    spool.begin(at.file, 1 + dice.below(3000));
    std::string const body = bytes_of(dice.below(20'000));
    for (std::size_t at = 0; at != body.size();) {
      std::size_t const length = std::min<std::size_t>(1 + dice.below(2500), body.size() - at);
      if (dice.once_in(2)) {
        spool.append(std::string_view(body).substr(at, length));
        at += length;
      } else {
        auto const room = spool.prepare(length);
        REQUIRE(!room.empty());
        REQUIRE(room.size() <= length);
        body.copy(room.data(), room.size(), at);
        spool.commit(room.size());
        at += room.size();
      }
    }
    REQUIRE(spool.size() == body.size());
    std::string all;
    while (spool.left() != 0) all += read(spool, 1 + dice.below(5000));
    REQUIRE(all == body);
  }
  CHECK(at.file.lent() == 0);
}

TEST_CASE("memory stays within the limit, rounded up to a power of two") {
  broken_spool at;
  body_spool spool;
  spool.begin(at.file, 5000);
  for (int i = 0; i < 10'000; ++i) spool.append("0123456789");
  kino::server::byte_buffer memory;
  spool.swap_memory(memory);
  CHECK(memory.capacity() <= 8192);
}

TEST_CASE("memory can be passed from spool to spool") {
  broken_spool at;
  kino::server::byte_buffer memory;
  {
    body_spool spool;
    spool.begin(at.file, 4096);
    spool.append(bytes_of(4000));
    spool.reset(SIZE_MAX);
    spool.swap_memory(memory);
  }
  CHECK(memory.capacity() == 4096);
  body_spool spool;
  spool.begin(at.file, 4096);
  spool.swap_memory(memory);
  spool.append("again");
  CHECK(read(spool, 10) == "again");
}

TEST_CASE("several readers can copy their claims concurrently") {
  broken_spool at;
  body_spool spool;
  spool.begin(at.file, 1000);
  std::string const body = bytes_of(50'500);
  spool.append(body);
  std::vector<body_spool::part> parts;
  while (spool.left() != 0) parts.push_back(spool.claim(997));
  std::string all(body.size(), '\0');
  std::vector<std::thread> readers;
  for (std::size_t reader = 0; reader < 4; ++reader) {
    readers.emplace_back([&, reader] {
      for (std::size_t i = reader; i < parts.size(); i += 4) spool.copy(parts[i], &all[parts[i].at]);
    });
  }
  for (std::thread& each : readers) each.join();
  CHECK(all == body);
  CHECK(spool.in_file(parts.front()));
  CHECK_FALSE(spool.in_file({50'000, 500}));
}

TEST_CASE("if the disk is full, append throws and the body's extents are released") {
  for (int error : {ENOSPC, EIO, EDQUOT}) {
    broken_spool at;
    {
      body_spool spool;
      spool.begin(at.file, 100);
      spool.append(bytes_of(150));
      at.disk->write_error = error;
      std::error_code seen;
      try {
        spool.append(bytes_of(100));
      } catch (std::system_error const& failed) {
        seen = failed.code();
        CHECK(std::string(failed.what()).find(at.disk->directory()) != std::string::npos);
      }
      CHECK(seen.value() == error);
      CHECK(at.file.lent() == 1);
    }
    CHECK(at.file.lent() == 0);
  }
}

TEST_CASE("the error about a file that cannot be created or read contains its directory") {
  broken_spool at;
  body_spool spool;
  spool.begin(at.file, 100);
  at.disk->open_error = EMFILE;
  CHECK_THROWS_AS(spool.append(bytes_of(101)), std::system_error);
  at.disk->open_error = 0;
  spool.append(bytes_of(101));
  at.disk->read_error = EIO;
  CHECK_THROWS_AS(read(spool, 10), std::system_error);

  spool_file nowhere(std::make_shared<temporary_files>("/nowhere/at/all"));
  body_spool lost;
  lost.begin(nowhere, 10);
  try {
    lost.append(bytes_of(11));
    FAIL("there is no such directory");
  } catch (std::system_error const& failed) {
    CHECK(failed.code().value() == ENOENT);
    CHECK(std::string(failed.what()).find("/nowhere/at/all") != std::string::npos);
  }
}
