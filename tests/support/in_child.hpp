// SPDX-License-Identifier: MIT
//
// Runs code in a forked child.

#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

/// Whether `call()` throws because it uses a `kind` that was made before a fork.
template <class Call>
bool throws_made_before_fork(char const* kind, Call call) {
  try {
    call();
  } catch (std::runtime_error const& error) {
    return error.what() == "kino: this " + std::string(kind) +
                               " was made before fork; make one in the child";
  }
  return false;
}

/// What Linux says of the other threads of this process: for each, its state and how often it has slept; empty elsewhere.
inline std::vector<std::string> other_threads() {
  std::vector<std::string> all;
#ifdef __linux__
  std::error_code none;
  for (auto const& one : std::filesystem::directory_iterator("/proc/self/task", none)) {
    if (one.path().filename() == std::to_string(::gettid())) continue;
    std::ifstream status(one.path() / "status");
    std::string seen;
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("State:") || line.starts_with("voluntary_ctxt_switches:")) seen += line;
    }
    if (!seen.empty()) all.push_back(seen);
  }
#endif
  return all;
}

/// Waits until all other threads have slept at one time, at most a second.
///
/// What a thread of the parent has locked at the fork remains locked in the child. The library allows for this, but AddressSanitizer
/// does not: if a thread was just beginning or ending, the child hangs when it starts one.
inline void await_sleep_of_others() {
  auto const last = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  auto const asleep = [](std::string const& one) { return one.find("State:\tS") != one.npos; };
  for (auto before = other_threads(); std::chrono::steady_clock::now() < last; std::this_thread::yield()) {
    auto now = other_threads();
    if (now == before && std::all_of(now.begin(), now.end(), asleep)) return;
    before = std::move(now);
  }
}

/// Whether `check()` returned true in a child process, within a minute.
template <class Check>
bool in_child(Check check) {
  await_sleep_of_others();
  pid_t const child = fork();
  if (child == 0) {
    alarm(60);
    _exit(check() ? 0 : 1);
  }
  int status = -1;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}
