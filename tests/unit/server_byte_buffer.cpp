// SPDX-License-Identifier: MIT

#include "base/byte_buffer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <random>
#include <string>
#include <string_view>
#include <utility>

using kino::server::byte_buffer;

namespace {

// Appends to a buffer and counts the bytes that it moves to make room.
struct counting {
  byte_buffer buffer;
  std::size_t moved = 0;
  std::size_t appended = 0;
  std::size_t most = 0;

  void append(std::string_view bytes) {
    char const* const before = buffer.data();
    std::size_t const had = buffer.size();
    char* const room = buffer.prepare(bytes.size());
    if (buffer.data() != before) moved += had;
    std::copy(bytes.begin(), bytes.end(), room);
    buffer.commit(bytes.size());
    appended += bytes.size();
    most = std::max(most, buffer.size());
  }
};

}  // namespace

TEST_CASE("random steps agree with a string") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    counting all;
    std::string model;
    for (int step = 0; step < 300; ++step) {
      switch (random() % 8) {
        case 0: {
          std::size_t const length = random() % (model.size() + 1);
          all.buffer.consume(length);
          model.erase(0, length);
          break;
        }
        case 1: {
          std::size_t const length = random() % (model.size() + 1);
          all.buffer.truncate(length);
          model.resize(length);
          break;
        }
        case 2: {
          byte_buffer other(std::move(all.buffer));
          REQUIRE(all.buffer.empty());
          all.buffer.swap(other);
          break;
        }
        case 3:
          if (random() % 20 == 0) {
            std::size_t const keep = random() % 4096;
            all.buffer.clear(keep);
            REQUIRE(all.buffer.capacity() <= keep);
            model.clear();
            all.most = 0;
          }
          break;
        default: {
          std::string const piece(random() % (random() % 2 ? 20 : 2000),
                                  static_cast<char>(random()));
          all.append(piece);
          model += piece;
        }
      }
      REQUIRE(all.buffer.view() == model);
      REQUIRE(all.buffer.empty() == model.empty());
      if (all.most != 0) {
        REQUIRE(all.buffer.capacity() <= std::max<std::size_t>(512, 4 * all.most + 4096));
      }
    }
  }
}

TEST_CASE("consuming bytes in small steps moves each byte at most twice on average") {
  for (std::size_t const kept : {100, 511, 512, 513, 4000, 65535}) {
    CAPTURE(kept);
    counting all;
    all.append(std::string(kept, 'a'));
    for (int step = 0; step < 20000; ++step) {
      all.buffer.consume(1);
      all.append("b");
    }
    CHECK(all.moved <= 2 * all.appended);
    CHECK(all.buffer.capacity() <= std::max<std::size_t>(512, 4 * all.most));
  }
}

TEST_CASE("appending alone moves each byte at most twice on average") {
  counting all;
  for (int step = 0; step < 200000; ++step) all.append("abc");
  CHECK(all.moved <= 2 * all.appended);
  CHECK(all.buffer.capacity() < 4 * all.most);
}

TEST_CASE("an impossible amount of room throws and keeps the bytes") {
  byte_buffer buffer;
  buffer.append("some");
  buffer.consume(1);
  for (std::size_t const length : {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX / 4}) {
    CHECK_THROWS_AS(static_cast<void>(buffer.prepare(length)), std::bad_alloc);
    CHECK(buffer.view() == "ome");
  }
  buffer.append("thing");
  CHECK(buffer.view() == "omething");
}

TEST_CASE("a buffer that has become empty reuses its memory from the start") {
  byte_buffer buffer;
  buffer.append(std::string(512, 'a'));
  char const* const start = buffer.data();
  for (int step = 0; step < 1000; ++step) {
    buffer.consume(buffer.size());
    buffer.append(std::string(512, 'b'));
    REQUIRE(buffer.data() == start);
  }
  CHECK(buffer.capacity() == 512);
}
