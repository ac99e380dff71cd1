// SPDX-License-Identifier: MIT
//
// Running a few lines in a forked child.

#pragma once

#include <sys/wait.h>
#include <unistd.h>

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
