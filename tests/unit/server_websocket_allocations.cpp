// SPDX-License-Identifier: MIT
//
// WebSockets without memory: each allocation of a conversation fails once.

#include "websocket/compression.hpp"

#include "../support/captured_log.hpp"
#include "../support/one_failing_allocation.hpp"
#include "../support/websocket_talk.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <string>

using allocation_test::allocations_left;
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

TEST_CASE("what cannot be compressed for lack of memory is sent as it is, and a message that cannot be decompressed ends the connection") {
  if (!server::has_compression()) return;
  captured_log const log;
  INFO(log);
  std::string const answer(5000, 'a');
  bool failed = true;
  for (std::uint32_t nth = 1; failed; ++nth) {
    CAPTURE(nth);
    REQUIRE(nth < 1000);
    talk_setup chosen;
    chosen.settings.speaks = server::dialect::deflated;
    talk here(chosen);
    here.send(frame(binary, server::encode_message(server::opcode::binary, answer, server::dialect::deflated)->substr(2), {.reserved = 4}));
    CHECK(here.next_event().what == server::websocket_event::kind::open);
    allocations_left = nth;
    bool const written = here.socket->write(server::opcode::text, answer);
    server::websocket_event const event = here.take_event();
    failed = allocations_left == 0;
    allocations_left = 0;
    if (event.what == server::websocket_event::kind::message) CHECK(event.data == answer);
    else CHECK(!here.socket->open());
    CHECK((written || !here.socket->open()));
    if (!failed) CHECK((written && event.data == answer));
  }
}
