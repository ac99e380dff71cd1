// SPDX-License-Identifier: MIT
//
// The same tests with the pipe that systems without eventfd use.

#define KINO_NOTIFIER_WITH_PIPE
#include "notifier.cpp"  // NOLINT
