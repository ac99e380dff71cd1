// SPDX-License-Identifier: MIT
//
// The tests of notifier.cpp with the pipe that systems without eventfd use.

#define KINO_NOTIFIER_WITH_PIPE
#include "notifier.cpp"  // NOLINT
