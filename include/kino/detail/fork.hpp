// SPDX-License-Identifier: MIT
//
// The former place of <kino/fork_mark.hpp>.

#pragma once

#include <kino/fork_mark.hpp>

KINO_NAMESPACE_BEGIN
namespace detail {
using kino::fork_mark;
}  // namespace detail
KINO_NAMESPACE_END
