// SPDX-License-Identifier: MIT

#include "base/temporary_files.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

using kino::server::temporary_files;

namespace {

struct stat facts_of(int file) {
  struct stat facts {};
  REQUIRE(::fstat(file, &facts) == 0);
  return facts;
}

}  // namespace

TEST_CASE("temporary files have no name") {
  auto const place = std::filesystem::temp_directory_path() / ("kino-test-" + std::to_string(::getpid()));
  std::filesystem::create_directory(place);
  temporary_files const files(place.string());
  int const file = files.open();
  CHECK(std::filesystem::is_empty(place));
  CHECK(facts_of(file).st_nlink == 0);
  CHECK((facts_of(file).st_mode & 077) == 0);
  files.close(file);
  std::filesystem::remove(place);
}

TEST_CASE("discarding a part frees its space and keeps the rest") {
  temporary_files const files;
  int const file = files.open();
  constexpr std::size_t size = 1 << 20;
  std::string const bytes(size, 'b');
  for (std::size_t i = 0; i < 3; ++i) REQUIRE(files.write(file, bytes.data(), size, i * size) == ssize_t{size});
  auto const blocks = facts_of(file).st_blocks;
  if (files.discard(file, size, size)) CHECK(facts_of(file).st_blocks <= blocks - blocks / 4);
  std::string got(size, '\0');
  for (std::size_t i : {0, 2}) {
    REQUIRE(files.read(file, got.data(), size, i * size) == ssize_t{size});
    CHECK(got == bytes);
  }
  files.truncate(file);
  CHECK(facts_of(file).st_size == 0);
  files.close(file);
}
