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
KINO_TEST_REACH(alarm_at_of, server::io_thread, alarm_at_)

/// Runs one handler of the I/O thread; false if there is none. Its time stands still, since real time would make runs
/// differ: no deadline passes, except that what is to be flushed within a millisecond is flushed in one of the next calls.
inline bool run_one(server::io_thread& thread, stress::dice& chance) {
  alarm_at_of(thread) = server::clock::time_point::min();  // The thread believes that its timer is set for an earlier time.
  server::deadline& flush_due = flush_due_of(thread);
  bool const flushes = flush_due.due() != server::clock::time_point::max();
  if (!flushes || chance.once_in(2)) {
    bool const did = thread.context().poll_one() != 0;
    thread.context().restart();
    if (did || !flushes) return did;
  }
  flush_due.set({});
  thread.deadlines().run({});
  return true;
}
/// Runs all handlers of the I/O thread, until there are none.
inline void run_all(server::io_thread& thread) {
  stress::dice chance(1);
  while (run_one(thread, chance)) {}
}

/// A trace is a hash of all that has happened in one run.
class trace {
public:
  void add(std::uint64_t what) { value_ = (value_ ^ what) * 0x100000001b3u; }
  [[nodiscard]] bool operator==(trace const&) const = default;

private:
  std::uint64_t value_ = 0xcbf29ce484222325u;
};

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

/// What came of one run.
struct outcome {
  std::string wrong;  ///< Empty if nothing was.
  trace steps;
};

/// Runs the simulations of the seeds from 1 to SEEDS, or to `usual`, or the one of SEED. Some, and the one of SEED, run
/// twice: both runs must take the same steps, or a failure could not be repeated.
template <class Run>
void run_seeds(std::uint32_t usual, Run run) {
  auto const number_in = [](char const* name, std::uint32_t otherwise) {
    char const* const given = std::getenv(name);
    return given ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10)) : otherwise;
  };
  std::uint32_t const only = number_in("SEED", 0);
  std::uint32_t const seeds = only != 0 ? only : number_in("SEEDS", usual);
  for (std::uint32_t seed = only != 0 ? only : 1; seed <= seeds; ++seed) {
    outcome const first = run(seed);
    if (!first.wrong.empty()) FAIL("SEED=" << seed << ": " << first.wrong);
    bool const twice = only != 0 || seed % 50 == 0 || seed < 20;
    if (twice && run(seed).steps != first.steps) FAIL("SEED=" << seed << ": a second run of it took other steps");
  }
}

}  // namespace simulation_test
