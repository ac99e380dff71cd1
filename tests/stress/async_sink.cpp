// SPDX-License-Identifier: MIT
//
// Many threads log through a pipe that is read irregularly: every line is read once and in order, or counted as dropped,
// and the reports add up to the number of dropped lines.

#include <kino/async_sink.hpp>

#include <doctest/doctest.h>

#include "../support/stress.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

using kino::async_sink;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t producers = 4;

// Counts and checks the lines that the reader receives.
class received_lines {
public:
  void add(std::string_view bytes) {
    for (char const c : bytes) {
      if (c != '\n') {
        line_ += c;
        continue;
      }
      take();
      line_.clear();
    }
  }
  std::uint64_t lines = 0;
  std::uint64_t reported = 0;
  std::uint64_t wrong = 0;

private:
  void take() {
    if (line_.starts_with("lost ")) {
      reported += std::stoull(line_.substr(5));
      return;
    }
    // "producer number padding"; the number determines the length of the padding.
    std::size_t end = 0;
    std::size_t const producer = std::stoul(line_, &end);
    std::size_t used = 0;
    std::uint64_t const number = std::stoull(line_.substr(end + 1), &used);
    bool const whole = line_.size() == end + 1 + used + number % 300;
    wrong += !whole || producer >= producers || number < next_[producer];
    next_[producer % producers] = number + 1;
    ++lines;
  }

  std::string line_;
  std::array<std::uint64_t, producers> next_{};
};

}  // namespace

TEST_CASE("every line is read once and in order, or dropped and reported") {
  std::uint32_t const each = stress::scaled(200'000);
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  received_lines found;
  std::atomic<std::uint64_t> progress{0};
  stress::watchdog const guard([&] { return progress.load(); },
                               [&] { return std::to_string(progress.load()) + " lines read"; });

  std::thread reader([&] {
    stress::dice chance(7);
    std::array<char, 16384> some{};
    for (;;) {
      ssize_t const got = ::read(ends[0], some.data(), 1 + chance.below(some.size() - 1));
      if (got <= 0) break;
      found.add({some.data(), static_cast<std::size_t>(got)});
      progress.store(found.lines);
      if (chance.once_in(200)) std::this_thread::sleep_for(200us);  // sometimes slow
    }
  });
  std::uint64_t written = 0;
  std::uint64_t dropped = 0;
  {
    async_sink sink(ends[1], {.capacity = 32 << 10, .report = [](std::uint64_t count) {
                                return "lost " + std::to_string(count) + "\n";
                              }});
    std::vector<std::thread> threads;
    for (std::uint32_t me = 0; me < producers; ++me) {
      threads.emplace_back([&, me] {
        stress::dice chance(me + 1);
        for (std::uint32_t i = 0; i < each; ++i) {
          sink.write(std::to_string(me) + " " + std::to_string(i) + std::string(i % 300, '.') + "\n");
          if (chance.once_in(500)) static_cast<void>(sink.flush(1ms));
          if (chance.once_in(100)) std::this_thread::yield();
          if (chance.once_in(3000)) sink.reopen();
        }
      });
    }
    for (auto& one : threads) one.join();
    CHECK(sink.flush(60s));
    CHECK(sink.close(60s));
    written = sink.written();
    dropped = sink.dropped();
  }
  ::close(ends[1]);
  reader.join();
  ::close(ends[0]);
  CHECK(written + dropped == std::uint64_t{producers} * each);
  CHECK(found.lines == written);
  CHECK(found.reported == dropped);
  CHECK(found.wrong == 0);
}
