// SPDX-License-Identifier: MIT
//
// Include this first in a model: it makes kino's headers use relacy, and runs scenarios.
//
// A scenario is an rl::test_suite: its constructor and destructor run once per execution, before
// and after its threads. RL_ASSERT states what must hold; a deadlock, a data race on an rl::var,
// a leak or a use after free fails by itself.

#pragma once

#define KINO_MODEL_CHECKER "relacy.hpp"
#include <kino/detail/atomic.hpp>

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <new>
#include <ostream>
#include <sstream>
#include <streambuf>

// relacy replaces the unsized forms, so that it sees leaks and uses after free. A model is one
// translation unit; these need not be inline.
void operator delete(void* memory, std::size_t) noexcept { ::operator delete(memory); }
void operator delete[](void* memory, std::size_t) noexcept { ::operator delete[](memory); }

namespace model {

// relacy counts every allocation while it runs, so its output is stored without allocating.
class transcript : public std::streambuf {
public:
  transcript() { setp(text_, text_ + sizeof text_); }
  void print() const { std::fwrite(pbase(), 1, static_cast<std::size_t>(pptr() - pbase()), stdout); }

private:
  char text_[1 << 18];
};

/// Runs `executions` random schedules of a scenario; returns whether all succeeded. A mutant runs only the scenario that
/// must fail.
template <class Scenario>
bool holds(char const* name, unsigned executions) {
#ifdef KINO_MODEL_MUTANT
  if (std::strcmp(name, KINO_MODEL_MUTANT) != 0) return true;
#endif
  transcript text;
  std::ostream said(&text);
  rl::test_params params;
  params.iteration_count = executions;
  params.search_type = rl::random_scheduler_type;
  params.execution_depth_limit = 20'000;
  params.output_stream = &said;
  params.progress_stream = &said;
  // Not rl::simulate, which compiles every scheduler for every scenario.
  using scheduler = rl::random_scheduler<Scenario::params::thread_count>;
  std::ostringstream state;
  rl::test_result_e const result = rl::run_test<Scenario, scheduler>(params, state, false);
  bool const good = result == rl::test_result_success;
  std::printf("%s: %s after %llu executions\n", name, rl::test_result_str(result),
              static_cast<unsigned long long>(params.stop_iteration));
#ifndef KINO_MODEL_MUTANT
  if (!good) {  // again, with every step printed
    params.initial_state = state.str();
    params.collect_history = true;
    std::ostringstream again;
    static_cast<void>(rl::run_test<Scenario, scheduler>(params, again, true));
    text.print();
  }
#endif
  return good;
}

/// The exit status of a program: in a mutant, which is broken on purpose, a scenario must fail.
inline int verdict(bool all_hold) {
#ifdef KINO_MODEL_MUTANT
  if (all_hold) std::puts("this program is broken, but no scenario fails");
  return all_hold ? 1 : 0;
#else
  return all_hold ? 0 : 1;
#endif
}

}  // namespace model
