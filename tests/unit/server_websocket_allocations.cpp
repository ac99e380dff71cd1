// SPDX-License-Identifier: MIT
//
// WebSockets without memory: each allocation of a conversation fails once.

#include "../support/captured_log.hpp"
#include "../support/websocket_talk.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

namespace {
// Of this thread; the last of these fails. 0: none does.
thread_local std::uint32_t allocations_left = 0;
}  // namespace

void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
  bool const fails = allocations_left != 0 && --allocations_left == 0;
  return fails ? nullptr : std::malloc(size);
}
void* operator new(std::size_t size) {
  if (void* const place = operator new(size, std::nothrow)) return place;
  throw std::bad_alloc();
}
void operator delete(void* place) noexcept { std::free(place); }
void operator delete(void* place, std::size_t) noexcept { std::free(place); }

using namespace websocket_test;

TEST_CASE("a connection without memory ends, and so do its events") {
  captured_log const log;
  INFO(log);
  bool failed = true;
  for (std::uint32_t nth = 1; failed; ++nth) {
    CAPTURE(nth);
    REQUIRE(nth < 1000);
    talk_setup chosen;
    chosen.room = 300;
    talk here(chosen);
    std::string const wire = frame(text, std::string(50, 'x'), {.last = false}) + frame(ping, "p") +
                             frame(continuation, std::string(50, 'y')) + frame(binary, "z");
    std::string const bye = close_frame(1000);
    std::string seen;
    std::string const answer(100, 'a');
    server::shared_frame const shared = server::encode_frame(server::opcode::text, answer);
    static_cast<void>(here.link->send(wire));
    allocations_left = nth;
    here.settle();
    for (int i = 0; i != 10; ++i) static_cast<void>(here.socket->write(server::opcode::text, answer));
    for (int i = 0; i != 10; ++i) static_cast<void>(here.socket->write(shared));
    here.settle();
    failed = allocations_left == 0;
    allocations_left = 0;
    seen += here.events();
    if (!here.link->lost()) {
      here.send(bye);
      for (int i = 0; i != 30 && !here.sees_end(); ++i) static_cast<void>(here.next_frame());
      CHECK(here.sees_end());
    }
    seen += here.events();
    CHECK(seen.starts_with("o"));
    CHECK(seen.ends_with("c"));
    CHECK(!here.socket->write(server::opcode::text, "late"));
    CHECK(shared.use_count() == 1);
    if (!failed) CHECK(seen == "om" + std::string(50, 'x') + std::string(50, 'y') + ";mz;c");
  }
}
