// SPDX-License-Identifier: MIT

#include "http/body_reader.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

using kino::server::body_pipe;
using kino::server::rejection;

namespace {

using step = std::function<void(body_pipe&)>;

// A pipe whose writer advances between any two steps of its reader: before the n-th of them by as many steps as the n-th
// digit of `schedule` in base `steps + 1`.
class scheduled_pipe {
public:
  scheduled_pipe(std::vector<step> writer, std::uint64_t schedule)
      : writer_(std::move(writer)), schedule_(schedule) {}

  body_pipe::taken take(char* out, std::size_t room) {
    advance();
    body_pipe::taken const got = pipe_.take(out, room);
    advance();
    return got;
  }
  void await() {
    advance();
    while (pipe_.await()) {
      if (next_ == writer_.size()) throw std::logic_error("waits for nothing");
      writer_[next_++](pipe_);
    }
  }
  [[noreturn]] void broken(rejection const& why) { throw std::runtime_error(why.reason); }

private:
  void advance() {
    std::uint64_t const base = writer_.size() + 1;
    for (auto count = schedule_ % base; count != 0 && next_ != writer_.size(); --count) {
      writer_[next_++](pipe_);
    }
    schedule_ /= base;
  }

  body_pipe pipe_;
  std::vector<step> writer_;
  std::size_t next_ = 0;
  std::uint64_t schedule_;
};

class string_target {
public:
  void reserve(std::size_t total) { bytes_.resize(total); }
  char* at(std::size_t position) { return bytes_.data() + position; }
  void commit(std::size_t total) { got_ = total; }
  std::string_view got() const { return std::string_view(bytes_).substr(0, got_); }

private:
  std::string bytes_;
  std::size_t got_ = 0;
};

step push(char const* bytes) {
  return [bytes](body_pipe& pipe) { pipe.push(bytes); };
}
step const finish = [](body_pipe& pipe) { pipe.finish(); };
step const fail = [](body_pipe& pipe) { pipe.fail({400, "gone", 0, 0}); };

// Calls `check` for every way in which five steps and the reader can interleave.
template <class Check>
void for_every_schedule(Check check) {
  std::uint64_t all = 1;
  for (int i = 0; i < 5; ++i) all *= 6;
  for (std::uint64_t schedule = 0; schedule < all; ++schedule) check(schedule);
}

}  // namespace

TEST_CASE("a body is read completely, whatever arrives between two calls") {
  std::size_t wrong = 0;
  for (std::size_t expected : {0u, 1u, 2u, 8u}) {
    for_every_schedule([&](std::uint64_t schedule) {
      scheduled_pipe from({push("a"), push("bc"), push("def"), push("gh"), finish}, schedule);
      string_target into;
      std::size_t const got = kino::server::read_body(from, SIZE_MAX, expected, into);
      wrong += got != 8 || into.got() != "abcdefgh";
    });
  }
  CHECK(wrong == 0);
}

TEST_CASE("pieces of any size add up to the body, and the end comes after its last byte") {
  std::size_t wrong = 0;
  for (std::size_t most : {1u, 2u, 3u, 7u}) {
    for_every_schedule([&](std::uint64_t schedule) {
      scheduled_pipe from({push("a"), push("bc"), push("def"), push("gh"), finish}, schedule);
      std::string all;
      for (;;) {
        string_target into;
        std::size_t const got = kino::server::read_body(from, most, 0, into);
        all += into.got();
        if (got < most) break;
      }
      wrong += all != "abcdefgh";
    });
  }
  CHECK(wrong == 0);
}

TEST_CASE("a truncated body is never taken for a complete one") {
  std::size_t raised = 0;
  std::size_t schedules = 0;
  for_every_schedule([&](std::uint64_t schedule) {
    ++schedules;
    scheduled_pipe from({push("a"), push("bc"), push("def"), push("gh"), fail}, schedule);
    string_target into;
    try {
      kino::server::read_body(from, SIZE_MAX, 0, into);
    } catch (std::runtime_error const& gone) {
      raised += gone.what() == std::string("gone") && into.got() == "abcdefgh";
    }
  });
  CHECK(raised == schedules);
}

TEST_CASE("available bytes are returned before a failure is reported") {
  scheduled_pipe from({push("abc"), fail}, 2);
  string_target into;
  CHECK(kino::server::read_body(from, 3, 0, into) == 3);
  CHECK_THROWS_WITH(kino::server::read_body(from, 3, 0, into), "gone");
}
