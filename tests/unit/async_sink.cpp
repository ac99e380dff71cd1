// SPDX-License-Identifier: MIT

#include <kino/async_sink.hpp>

#include <doctest/doctest.h>

#include "../support/await.hpp"
#include "../support/in_child.hpp"
#include "../support/sanitizers.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

using kino::async_sink;
using namespace std::chrono_literals;

namespace {

// A wait of this length fails the test.
constexpr auto long_enough = 60s;

struct pipe_ends {
  int reader;
  int writer;
  pipe_ends() {
    std::array<int, 2> both{};
    REQUIRE(::pipe(both.data()) == 0);
    reader = both[0];
    writer = both[1];
  }
  ~pipe_ends() {
    close_reader();
    ::close(writer);
  }
  void close_reader() {
    if (reader >= 0) ::close(reader);
    reader = -1;
  }
  void fill() const {
    int const flags = ::fcntl(writer, F_GETFL);
    ::fcntl(writer, F_SETFL, flags | O_NONBLOCK);
    std::string const filler(4096, 'x');
    while (::write(writer, filler.data(), filler.size()) > 0) {
    }
    ::fcntl(writer, F_SETFL, flags);
  }
  // Reads up to and including `end`.
  std::string read_until(std::string_view end) const {
    std::string all;
    std::array<char, 4096> some{};
    while (all.find(end) == std::string::npos) {
      ssize_t const got = ::read(reader, some.data(), some.size());
      if (got <= 0) break;
      all.append(some.data(), static_cast<std::size_t>(got));
    }
    return all;
  }
};

struct temporary_directory {
  std::string path = "/tmp/kino-sink-XXXXXX";
  temporary_directory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~temporary_directory() {
    for (auto const* name : {"/log", "/log.1"}) ::unlink((path + name).c_str());
    ::rmdir(path.c_str());
  }
  std::string log() const { return path + "/log"; }
};

std::string content(std::string const& path) {
  std::ostringstream all;
  all << std::ifstream(path).rdbuf();
  return all.str();
}

std::string drops(std::uint64_t count) { return "lost " + std::to_string(count) + "\n"; }

}  // namespace

TEST_CASE("lines are written completely and in order") {
  temporary_directory const where;
  async_sink sink(where.log());
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    std::string const line = std::to_string(i) + std::string(static_cast<std::size_t>(i % 97), '.') + "\n";
    expected += line;
    CHECK(sink.write(line));
  }
  CHECK(sink.flush(long_enough));
  CHECK(content(where.log()) == expected);
  CHECK(sink.written() == 1000);
  CHECK(sink.dropped() == 0);
}

TEST_CASE("lines longer than a pipe or a block are written completely") {
  pipe_ends const ends;
  async_sink sink(ends.writer);
  std::string const line = std::string(300'000, 'a') + "\n";
  CHECK(sink.write(line));
  CHECK(sink.write("end\n"));
  CHECK(ends.read_until("end\n") == line + "end\n");
}

TEST_CASE("lines of several threads keep the order in which they were written") {
  temporary_directory const where;
  async_sink sink(where.log());
  std::string expected;
  std::atomic<int> turn{0};
  std::vector<std::thread> threads;
  for (int me = 0; me < 4; ++me) {
    threads.emplace_back([&, me] {
      for (int mine = me; mine < 4000; mine += 4) {
        await([&] { return turn.load() == mine; });
        sink.write(std::to_string(mine) + "\n");
        turn.store(mine + 1);
      }
    });
  }
  for (int i = 0; i < 4000; ++i) expected += std::to_string(i) + "\n";
  for (auto& one : threads) one.join();
  CHECK(sink.flush(long_enough));
  CHECK(content(where.log()) == expected);
}

TEST_CASE("a full pipe blocks no caller, and dropped lines are counted and reported") {
  pipe_ends const ends;
  ends.fill();
  async_sink sink(ends.writer, {.capacity = 4096, .report = drops});
  std::uint64_t refused = 0;
  for (int i = 0; i < 5000; ++i) refused += !sink.write("line " + std::to_string(i) + "\n");
  CHECK(refused > 4000);  // the queue and the writer's block hold about 600
  CHECK(sink.dropped() == refused);
  CHECK_FALSE(sink.flush(1ms));
  std::string const report = drops(refused);
  std::string const all = ends.read_until(report);
  CHECK(all.find("xline 0\nline 1\n") != std::string::npos);
  CHECK(all.ends_with("\n" + report));
  CHECK(sink.flush(long_enough));
  CHECK(sink.dropped() == refused);
}

TEST_CASE("flush waits for the report of dropped lines") {
  pipe_ends ends;
  ends.fill();
  std::atomic<std::uint64_t> reported{0};
  auto const report = [&reported](std::uint64_t lines) {
    reported += lines;
    return std::string("report\n");
  };
  async_sink sink(ends.writer, {.capacity = 4096, .report = report});
  while (sink.write("line\n")) {
  }
  std::jthread const reader([&ends] { static_cast<void>(ends.read_until("report\n")); });
  CHECK(sink.flush(long_enough));
  CHECK(reported == 1);
}

TEST_CASE("flush reports a line that was dropped while the writer slept") {
  pipe_ends const ends;
  async_sink sink(ends.writer, {.capacity = 4096, .report = drops});
  sink.write("line\n");
  CHECK(ends.read_until("line\n") == "line\n");
  CHECK(!sink.write(std::string(8192, 'x')));
  CHECK(sink.flush(long_enough));
  CHECK(ends.read_until("lost 1\n") == "lost 1\n");
}

TEST_CASE("a failed report does not delay flush") {
  pipe_ends ends;
  ends.close_reader();
  async_sink sink(ends.writer, {.report = drops});
  sink.write("line\n");
  CHECK(sink.flush(long_enough));
  CHECK(sink.dropped() == 1);
}

#ifdef __linux__
TEST_CASE("dropped lines are reported once a second at most") {
  std::atomic<std::uint64_t> reports{0};
  std::atomic<std::uint64_t> reported{0};
  auto const report = [&](std::uint64_t lines) {
    ++reports;
    reported += lines;
    return std::string();
  };
  auto const begun = std::chrono::steady_clock::now();
  async_sink sink("/dev/full", {.report = report});
  for (std::uint64_t i = 1; i <= 100; ++i) {
    sink.write("line\n");
    await([&] { return sink.dropped() == i; });
  }
  std::uint64_t const so_far = reports;  // before the clock is read: another one may be due at any moment
  auto const seconds = std::chrono::steady_clock::now() - begun;
  CHECK(so_far <= 1 + static_cast<std::uint64_t>(seconds / 1s));
  CHECK(sink.flush(long_enough));
  CHECK(reported == 100);
}

TEST_CASE("a report that is too early is made later, without another line") {
  std::atomic<std::uint64_t> reported{0};
  auto const report = [&](std::uint64_t lines) {
    reported += lines;
    return std::string();
  };
  async_sink sink("/dev/full", {.report = report});
  sink.write("line\n");
  await([&] { return reported == 1; });
  sink.write("line\n");
  await([&] { return reported == 2; });
}
#endif

TEST_CASE("the default report contains the number of dropped lines") {
  pipe_ends const ends;
  ends.fill();
  async_sink sink(ends.writer, {.capacity = 128});
  while (sink.write("line\n")) {
  }
  CHECK(ends.read_until("dropped\n").ends_with("kino: 1 log lines were dropped\n"));
}

TEST_CASE("a sink with a full pipe can be closed") {
  pipe_ends const ends;
  ends.fill();
  async_sink sink(ends.writer);
  sink.write("lost\n");
  CHECK_FALSE(sink.close(1ms));
  await([&] { return sink.dropped() == 1; });  // the writer may give up later
  CHECK_FALSE(sink.write("late\n"));
  CHECK(sink.dropped() == 2);
  CHECK(sink.close(1ms));  // there are no more lines
}

TEST_CASE("close writes the queued lines") {
  temporary_directory const where;
  {
    async_sink sink(where.log());
    for (int i = 0; i < 100; ++i) sink.write("a line\n");
    CHECK(sink.close(long_enough));
    CHECK(sink.written() == 100);
  }
  {
    async_sink const never_used(where.log());
  }
  CHECK(content(where.log()).size() == 700);
}

TEST_CASE("lines for a pipe without a reader are dropped, without SIGPIPE") {
  pipe_ends ends;
  ends.close_reader();
  async_sink sink(ends.writer);
  for (int i = 1; i <= 3; ++i) {
    CHECK(sink.write("line\n"));
    CHECK(sink.flush(long_enough));
    CHECK(sink.dropped() == static_cast<std::uint64_t>(i));
  }
  CHECK(sink.written() == 0);
}

TEST_CASE("lines for a closed descriptor are dropped") {
  int const closed = ::fcntl(2, F_DUPFD, 500);  // a number that the sink's own descriptors will not have
  ::close(closed);
  async_sink sink(closed);
  CHECK(sink.write("line\n"));
  CHECK(sink.flush(long_enough));
  CHECK(sink.dropped() == 1);
}

#ifdef __linux__
TEST_CASE("lines for a full disk are dropped") {
  async_sink sink("/dev/full");
  CHECK(sink.write("line\n"));
  CHECK(sink.flush(long_enough));
  CHECK(sink.dropped() == 1);
}
#endif

TEST_CASE("after a full file has been replaced, lines are written to the new file") {
  temporary_directory const where;
  REQUIRE(::symlink("/dev/full", where.log().c_str()) == 0);
  async_sink sink(where.log(), {.report = drops});
  CHECK(sink.write("lost\n"));
  CHECK(sink.flush(long_enough));
  ::unlink(where.log().c_str());
  CHECK(sink.write("kept\n"));
  CHECK(sink.flush(long_enough));
  CHECK(sink.close(long_enough));
  CHECK(content(where.log()) == "kept\nlost 1\n");
}

TEST_CASE("no line is lost while a non-blocking descriptor is not writable") {
  pipe_ends const ends;
  ends.fill();
  ::fcntl(ends.writer, F_SETFL, O_NONBLOCK);
  async_sink sink(ends.writer);
  CHECK(sink.write("line\n"));
  CHECK(ends.read_until("line\n").ends_with("xline\n"));
  CHECK(sink.flush(long_enough));
  CHECK(sink.dropped() == 0);
}

TEST_CASE("reopen creates a new file if the old one was moved away") {
  temporary_directory const where;
  async_sink sink(where.log());
  sink.write("before\n");
  CHECK(sink.flush(long_enough));
  REQUIRE(::rename(where.log().c_str(), (where.log() + ".1").c_str()) == 0);
  sink.reopen();
  sink.write("after\n");
  CHECK(sink.flush(long_enough));
  CHECK(content(where.log() + ".1") == "before\n");
  CHECK(content(where.log()) == "after\n");
}

TEST_CASE("a file that was renamed or removed is created again without reopen") {
  temporary_directory const where;
  async_sink sink(where.log());
  sink.write("before\n");
  CHECK(sink.flush(long_enough));
  std::string const old = where.log() + ".1";
  REQUIRE(::rename(where.log().c_str(), old.c_str()) == 0);
  int lines = 0;
  auto const noticed = [&] {
    ++lines;
    // The new file may be there before its first line: the writer also looks for it when it is only woken.
    return sink.write("line\n") && sink.flush(long_enough) && content(where.log()).starts_with("line\n");
  };
  await(noticed);
  REQUIRE(::unlink(where.log().c_str()) == 0);
  await(noticed);
  CHECK(content(where.log()).starts_with("line\n"));
  CHECK(content(old).starts_with("before\n"));
  CHECK(sink.written() == 1 + static_cast<std::uint64_t>(lines));
  CHECK(sink.dropped() == 0);
}

TEST_CASE("a FIFO without a reader is refused, and no reason to wait") {
  temporary_directory const where;
  REQUIRE(::mkfifo(where.log().c_str(), 0600) == 0);
  CHECK_THROWS_AS(async_sink(where.log()), std::system_error);
}

TEST_CASE("a file that cannot be reopened remains in use") {
  temporary_directory const where;
  async_sink sink(where.log());
  sink.write("before\n");
  CHECK(sink.flush(long_enough));
  REQUIRE(::rename(where.log().c_str(), (where.log() + ".1").c_str()) == 0);
  REQUIRE(::mkdir(where.log().c_str(), 0700) == 0);
  sink.reopen();
  sink.write("after\n");
  CHECK(sink.flush(long_enough));
  CHECK(content(where.log() + ".1") == "before\nafter\n");
  ::rmdir(where.log().c_str());
}

TEST_CASE("the error about a path that cannot be opened contains the path") {
  CHECK_THROWS_WITH_AS(async_sink("/nonexistent/log"), doctest::Contains("/nonexistent/log"),
                       std::system_error);
}

// ThreadSanitizer does not support threads in the forked child of a process with threads, so this test and the next are skipped.
TEST_CASE("a sink works in a forked child and does not write its parent's lines" *
          doctest::skip(under_thread_sanitizer)) {
  temporary_directory const where;
  pipe_ends const ends;
  ends.fill();
  async_sink sink(ends.writer);
  async_sink file(where.log());
  sink.write("the parent's\n");  // the pipe is full until the child has ended
  file.write("parent\n");
  CHECK(file.flush(long_enough));
  CHECK(in_child([&] {
    bool const good = file.write("child\n") && file.flush(long_enough) && file.written() == 1;
    return good && sink.flush(0s) && sink.dropped() == 0;
  }));
  CHECK(content(where.log()) == "parent\nchild\n");
  CHECK(ends.read_until("parent's\n").ends_with("xthe parent's\n"));
}

TEST_CASE("if no thread can be created, callers write lines themselves if that does not block" *
          doctest::skip(under_thread_sanitizer)) {
  temporary_directory const where;
  REQUIRE(::chmod(where.path.c_str(), 0777) == 0);
  CHECK(in_child([&] {
    if (::getuid() == 0 && ::setuid(65534) != 0) return false;  // limits do not apply to root
    rlimit const none{0, 0};
    if (::setrlimit(RLIMIT_NPROC, &none) != 0) return false;
    async_sink file(where.log());
    if (file.start()) return false;
    bool good = file.write("one\n") && file.written() == 1 && file.flush(0s);
    pipe_ends const ends;
    ends.fill();
    async_sink stuck(ends.writer);
    good = good && stuck.write("two\n") && stuck.dropped() == 1;
    return good && file.close(0s);
  }));
  CHECK(content(where.log()) == "one\n");
}
