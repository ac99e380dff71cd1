// SPDX-License-Identifier: MIT

#include "http/body_pipe.hpp"

#include <doctest/doctest.h>

#include <array>
#include <optional>
#include <string>
#include <thread>

using kino::server::body_pipe;
namespace tuning = kino::server::tuning;

namespace {

std::string take(body_pipe& from, std::size_t room) {
  std::string bytes(room, '\0');
  bytes.resize(from.take(bytes.data(), room).length);
  return bytes;
}

// The number of available bytes.
std::size_t ready(body_pipe& from) { return from.take(nullptr, 0).left; }

constexpr kino::server::rejection gone{400, "gone", 0, 0};

}  // namespace

TEST_CASE("bytes are taken in the order in which they were pushed") {
  body_pipe pipe;
  CHECK(pipe.push("hello "));
  CHECK(pipe.push("world"));
  CHECK(ready(pipe) == 11);
  CHECK(take(pipe, 4) == "hell");
  CHECK(ready(pipe) == 7);
  CHECK(take(pipe, 100) == "o world");
  CHECK(pipe.take(nullptr, 0).what == body_pipe::state::open);
}

TEST_CASE("the end is reported with the last bytes and by every later take") {
  body_pipe pipe;
  pipe.push("ab");
  pipe.finish();
  std::array<char, 2> room{};
  CHECK(pipe.take(room.data(), 1).what == body_pipe::state::open);
  CHECK(pipe.take(room.data(), 1).what == body_pipe::state::complete);
  CHECK(pipe.take(room.data(), 1).what == body_pipe::state::complete);
  CHECK(!pipe.await());
}

TEST_CASE("bytes that arrived before a failure are taken before it is reported") {
  body_pipe pipe;
  pipe.push("ab");
  pipe.fail({413, "for a reason", 10, 11});
  pipe.finish();  // has no effect after the failure
  CHECK(take(pipe, 1) == "a");
  std::array<char, 1> room{};
  CHECK(pipe.take(room.data(), 0).what == body_pipe::state::open);
  CHECK(take(pipe, 1) == "b");
  auto const end = pipe.take(room.data(), 1);
  CHECK(end.what == body_pipe::state::broken);
  CHECK(end.why.status == 413);
  CHECK(end.why.reason == std::string("for a reason"));
}

TEST_CASE("a full pipe stops its writer once, and one that is half empty resumes it once") {
  body_pipe pipe;
  std::string const half(tuning::pipe_capacity / 2, 'x');
  CHECK(pipe.push(half));
  CHECK(!pipe.push(half));
  std::string room(tuning::pipe_capacity, '\0');
  CHECK(!pipe.take(room.data(), half.size() - 1).room_again);
  CHECK(pipe.full());
  CHECK(pipe.take(room.data(), 1).room_again);
  CHECK(!pipe.full());
  CHECK(!pipe.take(room.data(), 1).room_again);
}

TEST_CASE("a discarded pipe accepts all bytes and keeps none") {
  body_pipe pipe;
  CHECK(!pipe.push(std::string(tuning::pipe_capacity, 'x')));
  CHECK(pipe.discard());   // the writer waited
  CHECK(!pipe.discard());  // and has been told
  CHECK(pipe.push(std::string(tuning::pipe_capacity, 'x')));
  CHECK(ready(pipe) == 0);
}

TEST_CASE("a waiting reader is woken by bytes and by each kind of end") {
  for (int how = 0; how < 3; ++how) {
    body_pipe pipe;
    REQUIRE(pipe.await());
    std::thread writer([&] {
      if (how == 0) pipe.push("a");
      if (how == 1) pipe.finish();
      if (how == 2) pipe.fail(gone);
    });
    CHECK(pipe.arrivals().park(std::nullopt) == kino::park_result::notified);
    CHECK(!pipe.await());
    writer.join();
  }
}

TEST_CASE("a long body passes unchanged through a bounded pipe, whose writer is stopped and resumed") {
  body_pipe pipe;
  kino::parker room;
  constexpr std::size_t pieces = 2000;
  std::thread writer([&] {
    for (std::size_t i = 0; i < pieces; ++i) {
      if (!pipe.push(std::string(1000, static_cast<char>('a' + i % 26)))) {
        static_cast<void>(room.park(std::nullopt));
      }
    }
    pipe.finish();
  });
  std::string all;
  std::size_t most = 0;
  std::string buffer(7777, '\0');
  for (;;) {
    auto const got = pipe.take(buffer.data(), buffer.size());
    most = std::max(most, got.length + got.left);
    all.append(buffer, 0, got.length);
    if (got.room_again) room.notify();
    if (got.length != 0) continue;
    if (got.what == body_pipe::state::complete) break;
    while (pipe.await()) static_cast<void>(pipe.arrivals().park(std::nullopt));
  }
  writer.join();
  CHECK(all.size() == pieces * 1000);
  bool in_order = true;
  for (std::size_t i = 0; i < all.size(); ++i) in_order &= all[i] == static_cast<char>('a' + i / 1000 % 26);
  CHECK(in_order);
  CHECK(most < tuning::pipe_capacity + 1000);
}

TEST_CASE("a pipe that was reset is empty and can be used again") {
  body_pipe pipe;
  pipe.push("left over");
  pipe.fail(gone);
  static_cast<void>(pipe.discard());
  pipe.reset();
  CHECK(ready(pipe) == 0);
  CHECK(pipe.take(nullptr, 0).what == body_pipe::state::open);
  pipe.push("new");
  CHECK(take(pipe, 10) == "new");
}
