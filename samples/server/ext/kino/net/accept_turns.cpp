// SPDX-License-Identifier: MIT

#include "net/accept_turns.hpp"

#include <algorithm>

namespace kino::server {

namespace {

// After so many turns in vain, the others are taken for stuck, and so many connections are accepted before their next turn.
constexpr unsigned most_turns = 50;
constexpr std::size_t when_stuck = 256;

// For how long, at least and at most, no connection waits once those of this process are known to be short.
constexpr std::chrono::milliseconds least_hurry{16};
constexpr std::chrono::milliseconds most_hurry{1024};

}  // namespace

void accept_turns::level() noexcept {
  waits_ = false;
  in_vain_ = 0;
}

bool accept_turns::leaves_next(std::uint32_t connections, clock::time_point now) noexcept {
  waits_ = false;
  if (credit_ != 0) {
    --credit_;
  } else if (now >= hurry_until_) {
    waits_ = true;
    had_ = connections;
  }
  return waits_;
}

void accept_turns::over(std::uint32_t connections, clock::time_point now) noexcept {
  if (connections < had_) {
    hurry_ = std::clamp(2 * hurry_, least_hurry, most_hurry);
    hurry_until_ = now + hurry_;
  } else {
    hurry_ /= 2;
    credit_ = ++in_vain_ < most_turns ? 1 : when_stuck;
  }
}

}  // namespace kino::server
