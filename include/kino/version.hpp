// SPDX-License-Identifier: MIT
//
// The version of kino. CMake, pkg-config and the gem read it from here.

#pragma once

/// Incremented for incompatible changes.
#define KINO_VERSION_MAJOR 0
/// Incremented for compatible changes; while the major version is 0, also for incompatible ones.
#define KINO_VERSION_MINOR 1
/// Incremented for fixes; always compatible.
#define KINO_VERSION_PATCH 0

#define KINO_DETAIL_STRING_OF(x) #x
#define KINO_DETAIL_STRING(x) KINO_DETAIL_STRING_OF(x)

/// KINO_VERSION is the version as a string literal, "major.minor.patch".
///
/// Example:
///
///     static_assert(KINO_VERSION_MAJOR == 0);
///     assert(std::string(KINO_VERSION).starts_with("0."));
///
#define KINO_VERSION                                                                     \
  KINO_DETAIL_STRING(KINO_VERSION_MAJOR)                                                 \
  "." KINO_DETAIL_STRING(KINO_VERSION_MINOR) "." KINO_DETAIL_STRING(KINO_VERSION_PATCH)
