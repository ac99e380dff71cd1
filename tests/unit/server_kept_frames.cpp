// SPDX-License-Identifier: MIT
//
// Frames that wait for a client, against a list of them.

#include "websocket/kept_frames.hpp"

#include "../support/one_failing_allocation.hpp"
#include "../support/stress.hpp"
#include "http/response.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace server = kino::server;
using allocation_test::allocations_left;
using server::kept_frames;
using server::piece;
using server::shared_frame;

namespace {

shared_frame shared(std::string text) { return std::make_shared<std::string const>(std::move(text)); }

void add(kept_frames& to, shared_frame const& frame, bool message = true) {
  iovec const all = piece(*frame);
  to.add({&all, 1}, frame->size(), &frame, message);
}
void add(kept_frames& to, std::string_view frame, bool message = true) {
  std::size_t const half = frame.size() / 2;
  std::array const pieces{piece(frame.substr(0, half)), piece(frame.substr(half))};
  to.add(pieces, frame.size(), nullptr, message);
}

std::string first(kept_frames const& of, std::size_t pieces) {
  std::array<iovec, 16> all;
  std::size_t const count = of.first(std::span(all).first(pieces));
  REQUIRE(count <= pieces);
  std::string got;
  for (iovec const& one : std::span(all).first(count)) {
    CHECK(one.iov_len != 0);
    got.append(static_cast<char const*>(one.iov_base), one.iov_len);
  }
  return got;
}

}  // namespace

TEST_CASE("an empty queue has no memory, and is small") {
  kept_frames none;
  CHECK(none.empty());
  CHECK(none.memory() == 0);
  CHECK(none.messages() == 0);
  CHECK(first(none, 16).empty());
  CHECK(sizeof(kept_frames) <= 5 * sizeof(void*));
  none.clear();
}

TEST_CASE("short frames are one piece") {
  kept_frames some;
  add(some, "one");
  add(some, shared("two"), false);
  add(some, "three");
  std::array<iovec, 16> all;
  CHECK(some.first(all) == 1);
  CHECK(first(some, 16) == "onetwothree");
  CHECK(some.messages() == 2);
  some.consume(4);
  CHECK(first(some, 16) == "wothree");
  CHECK(some.messages() == 1);
  some.consume(7);
  CHECK(some.empty());
  CHECK(some.memory() == 0);
}

TEST_CASE("a shared frame longer than most_copied is referenced; an unshared one is copied up to most_joined") {
  shared_frame const longer = shared(std::string(kept_frames::most_copied + 1, 'x'));
  std::string const joined(kept_frames::most_joined, 'j');
  std::string const own(kept_frames::most_joined + 1, 'o');
  kept_frames some;
  add(some, joined);
  add(some, own);
  std::array<iovec, 16> pieces;
  CHECK(some.first(pieces) == 2);
  CHECK(pieces[0].iov_len == joined.size());
  CHECK(first(some, 16) == joined + own);
  some.clear();
  add(some, "a");
  add(some, longer);
  add(some, "b");
  CHECK(longer.use_count() == 2);
  std::array<iovec, 16> all;
  CHECK(some.first(all) == 3);
  CHECK(all[1].iov_base == longer->data());
  CHECK(first(some, 2) == "a" + *longer);
  some.consume(2);
  CHECK(some.first(all) == 2);
  CHECK(all[0].iov_base == longer->data() + 1);
  some.consume(longer->size() - 1);
  CHECK(longer.use_count() == 1);
  CHECK(first(some, 16) == "b");
  add(some, longer);
  some.clear();
  CHECK(longer.use_count() == 1);
  CHECK(some.empty());
}

TEST_CASE("any frames, sent in any parts, against a list of them") {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    stress::dice chance(seed);
    std::array const longest{40U, 600U, 3000U};
    std::uint32_t const most = longest[chance.below(3)];
    kept_frames queue;
    std::deque<std::pair<std::string, bool>> expected;
    std::size_t offset = 0;
    std::vector<shared_frame> frames;
    for (int step = 0; step != 500; ++step) {
      if (!chance.once_in(3)) {
        std::string text = std::to_string(step) + std::string(chance.below(most), static_cast<char>('a' + chance.below(26)));
        bool const message = chance.once_in(2);
        shared_frame const frame = shared(text);
        bool const own = chance.once_in(2);
        std::size_t const announced = queue.memory() + queue.cost(text.size(), own ? nullptr : &frame);
        own ? add(queue, text, message) : add(queue, frame, message);
        CHECK(queue.memory() == announced);
        if (!own) frames.push_back(frame);
        expected.emplace_back(std::move(text), message);
      } else {
        std::string const got = first(queue, 1 + chance.below(16));
        std::string all;
        for (auto const& each : expected) {
          if (all.size() > got.size() + offset) break;
          all += each.first;
        }
        REQUIRE(all.substr(offset, got.size()) == got);
        REQUIRE(got.empty() == expected.empty());
        std::size_t const sent = chance.below(static_cast<std::uint32_t>(got.size() + 1));
        queue.consume(sent);
        offset += sent;
        while (!expected.empty() && offset >= expected.front().first.size()) {
          offset -= expected.front().first.size();
          expected.pop_front();
        }
      }
      REQUIRE(queue.empty() == expected.empty());
      auto const messages = std::count_if(expected.begin(), expected.end(), [](auto const& each) { return each.second; });
      REQUIRE(queue.messages() == static_cast<std::size_t>(messages));
      if (queue.empty()) REQUIRE(queue.memory() == 0);
    }
    queue.clear();
    CHECK(queue.empty());
    CHECK(queue.memory() == 0);
    for (shared_frame const& each : frames) CHECK(each.use_count() == 1);
  }
}

TEST_CASE("without memory, nothing is added") {
  shared_frame const longer = shared(std::string(100, 'x'));
  std::string const own(1000, 'y');
  for (int what = 0; what != 3; ++what) {
    bool failed = true;
    for (std::uint32_t nth = 1; failed; ++nth) {
      CAPTURE(what);
      CAPTURE(nth);
      REQUIRE(nth < 10);
      kept_frames queue;
      if (what != 0) add(queue, std::string(80, 'a'));
      std::string const before = first(queue, 16);
      std::size_t const memory = queue.memory();
      allocations_left = nth;
      try {
        what == 0 ? add(queue, "short") : what == 1 ? add(queue, longer) : add(queue, own);
        failed = false;
      } catch (std::bad_alloc const&) {
      }
      allocations_left = 0;
      if (!failed) continue;
      CHECK(first(queue, 16) == before);
      CHECK(queue.messages() == (what == 0 ? 0 : 1));
      CHECK(queue.empty() == (what == 0));
      CHECK(queue.memory() == memory);
      CHECK(longer.use_count() == 1);
    }
  }
}
