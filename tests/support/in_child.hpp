// SPDX-License-Identifier: MIT
//
// Runs code in a forked child.

#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

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

/// Whether `check()` returned true in a child process, within a minute.
template <class Check>
bool in_child(Check check) {
  pid_t const child = fork();
  if (child == 0) {
    alarm(60);
    _exit(check() ? 0 : 1);
  }
  int status = -1;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}
