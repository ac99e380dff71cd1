// SPDX-License-Identifier: MIT
//
// For simulations of a server in one thread, which plays its clients, its I/O thread and its workers in an order that a
// seed chooses.

#pragma once

#include "net/io_thread.hpp"

#include "private_access.hpp"
#include "stress.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace simulation_test {

namespace server = kino::server;

KINO_TEST_REACH(flush_due_of, server::io_thread, flush_due_)

/// Runs one handler of the I/O thread; false if there is none.
inline bool run_one(server::io_thread& thread) {
  bool const did = thread.context().poll_one() != 0;
  thread.context().restart();
  // Now instead of a millisecond later: real time would make runs differ.
  server::deadline& flush_due = flush_due_of(thread);
  if (flush_due.due() != server::clock::time_point::max()) flush_due.set({});
  return did;
}

/// What a worker waits for.
enum class sleeping { no, for_body, for_room };

/// Whether a worker of this exchange may go on.
inline bool is_awake(server::exchange& in_hand, sleeping& how) {
  if (how == sleeping::no) return true;
  auto& bed = how == sleeping::for_body ? in_hand.body().arrivals() : in_hand.departures();
  if (bed.park(server::clock::time_point{}) != kino::park_result::notified) return false;
  how = sleeping::no;
  return true;
}

/// Runs the simulations of the seeds from 1 to SEEDS, or to `usual`, or the one of SEED. `run(seed)` returns what went wrong.
template <class Run>
void run_seeds(std::uint32_t usual, Run run) {
  auto const number_in = [](char const* name, std::uint32_t otherwise) {
    char const* const given = std::getenv(name);
    return given ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10)) : otherwise;
  };
  std::uint32_t const only = number_in("SEED", 0);
  std::uint32_t const seeds = only != 0 ? only : number_in("SEEDS", usual);
  for (std::uint32_t seed = only != 0 ? only : 1; seed <= seeds; ++seed) {
    std::string const wrong = run(seed);
    if (!wrong.empty()) FAIL("SEED=" << seed << ": " << wrong);
  }
}

}  // namespace simulation_test
