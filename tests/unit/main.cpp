// SPDX-License-Identifier: MIT
//
// The doctest runner that every unit and stress program links.

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
