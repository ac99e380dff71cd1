// SPDX-License-Identifier: MIT
//
// Extents of one file: each is lent to one borrower at a time, and its space is returned if the disk supports that.

#include "base/spool_file.hpp"

#include "../support/broken_disk.hpp"
#include "../support/in_child.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

using kino::server::spool_file;

namespace {

struct place : broken_spool {
  std::vector<spool_file::extent> acquire(std::size_t count) {
    std::vector<spool_file::extent> all;
    for (std::size_t i = 0; i < count; ++i) all.push_back(file.acquire());
    return all;
  }
  void release(std::vector<spool_file::extent> const& all) {
    for (spool_file::extent one : all) file.release(one);
  }
};

std::string read(spool_file const& from, spool_file::extent one, std::size_t offset, std::size_t length) {
  std::string bytes(length, '\0');
  from.read(one, offset, bytes.data(), length);
  return bytes;
}

}  // namespace

TEST_CASE("the file is created once, with the first extent, and closed with its owner") {
  auto const disk = std::make_shared<broken_disk>();
  {
    spool_file file(disk);
    CHECK(disk->opened == 0);
    static_cast<void>(file.acquire());
    static_cast<void>(file.acquire());
    CHECK(disk->opened == 1);
    CHECK(file.lent() == 2);
  }
  CHECK(disk->now_open == 0);
}

TEST_CASE("bytes written to an extent can be read, up to its last byte") {
  place at;
  auto const all = at.acquire(3);
  for (spool_file::extent one : all) {
    std::string const bytes(1000, static_cast<char>('a' + one));
    at.file.write(one, 0, bytes);
    at.file.write(one, spool_file::extent_size - 1000, bytes);
  }
  for (spool_file::extent one : all) {
    std::string const bytes(1000, static_cast<char>('a' + one));
    CHECK(read(at.file, one, 0, 1000) == bytes);
    CHECK(read(at.file, one, spool_file::extent_size - 1000, 1000) == bytes);
  }
}

TEST_CASE("an extent has one borrower, and is lent again after its release") {
  place at;
  auto all = at.acquire(100);
  CHECK(std::set(all.begin(), all.end()).size() == 100);
  at.release({all.begin() + 50, all.end()});
  all.resize(50);
  CHECK(at.file.lent() == 50);
  for (spool_file::extent one : at.acquire(50)) {
    CHECK(one < 100);
    all.push_back(one);
  }
  CHECK(std::set(all.begin(), all.end()).size() == 100);
}

#if defined(__linux__) && !defined(KINO_ONLY_POSIX)  // elsewhere as in the next case
TEST_CASE("some released extents keep their space, and that of the others is returned") {
  place at;
  auto const all = at.acquire(spool_file::kept + 10);
  at.release(all);
  CHECK(at.disk->discards == 10);
  // Those with space are lent first.
  at.release(at.acquire(spool_file::kept));
  CHECK(at.disk->discards == 10);
  CHECK(at.file.lent() == 0);
}
#endif

TEST_CASE("if the disk cannot discard parts, the file is truncated when no extent is lent") {
  place at;
  at.disk->discards_parts = false;
  auto all = at.acquire(spool_file::kept + 10);
  at.release({all.begin() + 1, all.end()});
  CHECK(at.disk->discards == 1);  // not tried again
  CHECK(at.disk->truncations == 0);
  at.file.release(all.front());
  CHECK(at.disk->truncations == 1);
  spool_file::extent const again = at.file.acquire();
  at.file.write(again, 0, "again");
  CHECK(read(at.file, again, 0, 5) == "again");
}

TEST_CASE("errors contain the directory, and the next attempt may succeed") {
  place at;
  at.disk->open_error = EMFILE;
  CHECK_THROWS_AS(static_cast<void>(at.file.acquire()), std::system_error);
  CHECK(at.file.lent() == 0);
  at.disk->open_error = 0;
  spool_file::extent const one = at.file.acquire();
  auto const error_of = [&](auto call) {
    try {
      call();
    } catch (std::system_error const& failed) {
      CHECK(std::string(failed.what()).find(at.disk->directory()) != std::string::npos);
      return failed.code().value();
    }
    return 0;
  };
  at.disk->write_error = ENOSPC;
  CHECK(error_of([&] { at.file.write(one, 0, "bytes"); }) == ENOSPC);
  at.disk->write_error = 0;
  at.file.write(one, 0, "bytes");
  at.disk->read_error = EIO;
  CHECK(error_of([&] { static_cast<void>(read(at.file, one, 0, 5)); }) == EIO);
  at.disk->read_error = 0;
  CHECK(read(at.file, one, 0, 5) == "bytes");
}

TEST_CASE("a forked child neither reads nor changes its parent's extents") {
  place at;
  auto const all = at.acquire(spool_file::kept + 2);
  at.file.write(all[0], 0, "parent's");
  auto const refused = [](auto call) {
    try {
      call();
    } catch (std::system_error const&) {
      return false;
    } catch (std::runtime_error const&) {
      return true;
    }
    return false;
  };
  CHECK(in_child([&] {
    bool const all_refused = refused([&] { static_cast<void>(at.file.acquire()); }) &&
                             refused([&] { at.file.write(all[0], 0, "child's"); }) &&
                             refused([&] { static_cast<void>(read(at.file, all[0], 0, 1)); });
    at.release(all);
    return all_refused && at.disk->discards == 0;
  }));
  CHECK(at.file.lent() == all.size());
  CHECK(read(at.file, all[0], 0, 8) == "parent's");
}

TEST_CASE("threads that borrow and release concurrently read the bytes that they wrote") {
  for (bool discards : {true, false}) {
    place at;
    at.disk->discards_parts = discards;
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (std::uint32_t thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        stress::dice chance(thread + 1);
        std::vector<std::pair<spool_file::extent, std::string>> mine;
        for (std::uint32_t i = 0; i < stress::scaled(2000); ++i) {
          if (mine.size() < 10 && chance.once_in(2)) {
            mine.emplace_back(at.file.acquire(), std::to_string(thread) + ":" + std::to_string(i));
            at.file.write(mine.back().first, 0, mine.back().second);
          } else if (!mine.empty()) {
            wrong += read(at.file, mine.front().first, 0, mine.front().second.size()) != mine.front().second;
            at.file.release(mine.front().first);
            mine.erase(mine.begin());
          }
        }
        for (auto const& one : mine) at.file.release(one.first);
      });
    }
    for (std::thread& each : threads) each.join();
    CHECK(wrong == 0);
    CHECK(at.file.lent() == 0);
  }
}
