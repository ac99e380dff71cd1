// SPDX-License-Identifier: MIT
//
// What waits for a client that does not read: how much memory it takes, and that it is a few allocations, so that it ends at once.

#include "websocket/websocket.hpp"

#include "../support/captured_log.hpp"
#include "../support/websocket_talk.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <initializer_list>
#include <new>
#include <string>
#include <vector>

using namespace websocket_test;
using server::opcode;

namespace {

std::atomic<std::size_t> allocations{0}, releases{0};
std::atomic<std::size_t> in_use{0};  // bytes

// Before each allocation, its size; a malloc adds as much.
constexpr std::size_t prefix = 16;

}  // namespace

// Not inlined: g++ would warn of a mismatch if it inlined only one of the two.
[[gnu::noinline]] void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
  auto* const memory = static_cast<char*>(std::malloc(prefix + size));
  if (!memory) return nullptr;
  *reinterpret_cast<std::size_t*>(memory) = prefix + size;
  ++allocations;
  in_use += prefix + size;
  return memory + prefix;
}
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* const memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  if (!memory) return;
  char* const start = static_cast<char*>(memory) - prefix;
  ++releases;
  in_use -= *reinterpret_cast<std::size_t*>(start);
  std::free(start);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

namespace {

// A client that reads nothing, and for which something is kept.
struct reader {
  explicit reader(server::dialect speaks, std::size_t most_kept = 4 * 1024 * 1024) : here(setup(speaks, most_kept)) {
    static_cast<void>(here.events());
    while (here.socket->kept() == 0) REQUIRE(here.socket->write(server::encode_frame(opcode::text, std::string(100, 'x'))));
  }
  static talk_setup setup(server::dialect speaks, std::size_t most_kept) {
    talk_setup chosen;
    chosen.settings.speaks = speaks;
    chosen.settings.most_kept = most_kept;
    chosen.room = 500;
    return chosen;
  }
  talk here;
};

struct counts {
  std::size_t allocations = ::allocations, releases = ::releases, in_use = ::in_use;
};

}  // namespace

TEST_CASE("events that many share take little more than their bytes, or than a reference each, and end with few releases") {
  constexpr std::size_t frames = 5000;
  for (std::size_t const size : {10, 30, 60, 500}) {
    CAPTURE(size);
    server::shared_frame const shared = server::encode_frame(opcode::text, std::string(size, 'x'));
    reader slow(server::dialect::events);
    counts const before;
    for (std::size_t i = 0; i != frames; ++i) REQUIRE(slow.here.socket->write(shared));
    counts const full;
    CHECK(full.in_use - before.in_use < frames * 36);
    CHECK(full.allocations - before.allocations < frames / 50);
    CHECK(slow.here.socket->kept() > frames);
    SUBCASE("the client leaves") { slow.here.link->reset(); }
    SUBCASE("the server ends") { slow.here.http.close_connections(); }
    slow.here.settle();
    counts const after;
    CHECK(slow.here.socket->kept() == 0);
    CHECK(shared.use_count() == 1);
    CHECK(after.releases - full.releases < frames / 50 + 100);
  }
}

TEST_CASE("messages for one client take little more than their bytes, and end with few releases") {
  constexpr std::size_t frames = 5000;
  for (std::size_t const size : {1, 20, 100, 400}) {
    CAPTURE(size);
    std::string const message(size, 'x');
    reader slow(server::dialect::frames);
    counts const before;
    for (std::size_t i = 0; i != frames; ++i) REQUIRE(slow.here.socket->write(opcode::text, message));
    counts const full;
    CHECK(full.in_use - before.in_use < frames * (size + 6) * 5 / 4 + 10'000);
    CHECK(full.allocations - before.allocations < frames * (size + 6) / 2000);
    slow.here.link->reset();
    slow.here.settle();
    counts const after;
    CHECK(after.releases - full.releases < frames * (size + 6) / 2000 + 100);
  }
}

TEST_CASE("the limit of what waits for a client is one of memory, whatever the size of its messages") {
  captured_log const log;
  constexpr std::size_t limit = 100'000;
  for (bool const alone : {true, false}) {
    for (std::size_t const size : {1, 10, 30, 31, 100, 500, 600, 5000}) {
      CAPTURE(alone);
      CAPTURE(size);
      std::string const message(size, 'x');
      reader slow(server::dialect::frames, limit);
      std::size_t const before = counts().in_use;
      std::size_t most = 0;
      auto const write = [&] {
        return alone ? slow.here.socket->write(opcode::text, message) : slow.here.socket->write(server::encode_frame(opcode::text, message));
      };
      while (write()) most = counts().in_use - before;
      CHECK(most <= limit);
      CHECK(most > limit * 3 / 4);
      slow.here.settle();
      CHECK(slow.here.link->closed());
    }
  }
}

TEST_CASE("a client that has read all costs no more than one that had nothing to read") {
  reader slow(server::dialect::frames);
  for (int i = 0; i != 5000; ++i) REQUIRE(slow.here.socket->write(opcode::text, "x"));
  while (slow.here.socket->kept() != 0) static_cast<void>(slow.here.take_arrived());
  static_cast<void>(slow.here.take_arrived());
  static_cast<void>(slow.here.events());
  std::size_t const idle = counts().in_use;
  for (int round = 0; round != 3; ++round) {
    for (int i = 0; i != 5000; ++i) REQUIRE(slow.here.socket->write(opcode::text, "x"));
    while (slow.here.socket->kept() != 0) static_cast<void>(slow.here.take_arrived());
    static_cast<void>(slow.here.take_arrived());
    static_cast<void>(slow.here.events());
    CHECK(counts().in_use <= idle);
  }
}
