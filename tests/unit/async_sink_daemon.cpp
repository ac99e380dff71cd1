// SPDX-License-Identifier: MIT
//
// async_sink with the socket of a daemon.

#include <kino/async_sink.hpp>

#include <doctest/doctest.h>

#include "../support/await.hpp"
#include "../support/in_child.hpp"
#include "../support/log_daemon.hpp"
#include "../support/sanitizers.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

using kino::async_sink;
using namespace std::chrono_literals;

namespace {

// A wait of this length fails the test.
constexpr auto long_enough = 60s;

}  // namespace

TEST_CASE("a daemon gets each line as one datagram, without its line feed") {
  log_daemon daemon;
  async_sink sink(async_sink::daemon{daemon.path()});
  for (auto const* line : {"one\n", "two\n", "\n", "several\nlines\n", "no end"}) CHECK(sink.write(line));
  for (auto const* datagram : {"one", "two", "", "several\nlines", "no end"}) CHECK(daemon.receive() == datagram);
  CHECK(sink.flush(long_enough));
  CHECK(sink.written() == 5);
}

TEST_CASE("wrap makes the datagrams, and a line for which it throws is dropped") {
  log_daemon daemon;
  auto const wrap = [](std::string& datagram, std::string_view line) {
    if (line == "bad") throw std::bad_alloc();
    datagram.append("<").append(line).append(">");
  };
  async_sink sink(async_sink::daemon{daemon.path(), wrap}, {.report = [](std::uint64_t) { return std::string(); }});
  for (auto const* line : {"one\n", "bad\n", "two\n"}) CHECK(sink.write(line));
  CHECK(daemon.receive() == "<one>");
  CHECK(daemon.receive() == "<two>");
  CHECK(sink.flush(long_enough));
  CHECK(sink.dropped() == 1);
}

TEST_CASE("a daemon that does not read delays no caller, and lines that do not fit are counted and reported") {
  log_daemon daemon;
  std::atomic<std::uint64_t> reported{0};
  auto const report = [&reported](std::uint64_t lines) {
    reported += lines;
    return std::string();
  };
  async_sink sink(async_sink::daemon{daemon.path()}, {.capacity = 4096, .report = report});
  std::string const line(200, 'x');
  std::uint64_t accepted = 0, refused = 0;
  // More than the kernel's queue and the sink's take.
  while (refused < 100) ++(sink.write(line + "\n") ? accepted : refused);
  CHECK_FALSE(sink.flush(1ms));
  for (std::uint64_t i = 0; i < accepted; ++i) CHECK(daemon.receive() == line);
  CHECK(sink.flush(long_enough));
  CHECK(sink.written() == accepted);
  CHECK(sink.dropped() == refused);
  CHECK(reported == refused);
}

TEST_CASE("lines for a daemon that has gone are dropped; the next daemon gets the lines after its start") {
  log_daemon daemon;
  std::atomic<std::uint64_t> reported{0};
  async_sink sink(async_sink::daemon{daemon.path()}, {.report = [&reported](std::uint64_t lines) {
                    reported += lines;
                    return std::string();
                  }});
  CHECK(sink.write("before\n"));
  CHECK(daemon.receive() == "before");
  for (bool const leaves_socket : {false, true}) {
    std::uint64_t const before = sink.dropped();
    daemon.stop(leaves_socket);
    CHECK(sink.write("lost\n"));
    CHECK(sink.flush(long_enough));
    CHECK(sink.dropped() == before + 1);
    CHECK(reported == sink.dropped());
    daemon.start();
    CHECK(sink.write("after\n"));
    CHECK(daemon.receive() == "after");
  }
  CHECK(sink.flush(long_enough));
  CHECK(sink.written() == 3);
}

TEST_CASE("a daemon that goes while the writer waits for it ends the wait") {
  log_daemon daemon;
  async_sink sink(async_sink::daemon{daemon.path()}, {.capacity = 4096, .report = [](std::uint64_t) { return std::string(); }});
  std::string const line(200, 'x');
  while (sink.write(line + "\n")) {
  }
  daemon.stop();
  CHECK(sink.flush(long_enough));
  CHECK(sink.dropped() > 1);
}

TEST_CASE("a line that is too long for a datagram is dropped, and the next one arrives") {
  log_daemon daemon;
  async_sink sink(async_sink::daemon{daemon.path()},
                  {.capacity = std::size_t{64} << 20, .report = [](std::uint64_t) { return std::string(); }});
  CHECK(sink.write(std::string(std::size_t{16} << 20, 'x') + "\n"));
  CHECK(sink.write("short\n"));
  CHECK(daemon.receive() == "short");
  CHECK(sink.flush(long_enough));
  CHECK(sink.dropped() == 1);
}

TEST_CASE("a socket that nothing has bound is refused with its path") {
  for (auto const* path : {"/nonexistent/log", "/dev/null"}) {
    CHECK_THROWS_WITH_AS(async_sink(async_sink::daemon{path}), doctest::Contains(path), std::system_error);
  }
  CHECK_THROWS_AS(async_sink(async_sink::daemon{"/tmp/" + std::string(200, 'x')}), std::system_error);
}

// ThreadSanitizer does not support threads in the forked child of a process with threads.
TEST_CASE("a forked child connects by itself" * doctest::skip(under_thread_sanitizer)) {
  log_daemon daemon;
  async_sink sink(async_sink::daemon{daemon.path()});
  CHECK(sink.write("parent\n"));
  CHECK(daemon.receive() == "parent");
  CHECK(in_child([&] { return sink.write("child\n") && sink.flush(long_enough) && sink.written() == 1; }));
  CHECK(daemon.receive() == "child");
  CHECK(sink.write("parent again\n"));
  CHECK(daemon.receive() == "parent again");
}
