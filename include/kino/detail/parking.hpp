// SPDX-License-Identifier: MIT
//
// The former place of <kino/parker.hpp>.

#pragma once

#include <kino/parker.hpp>

KINO_NAMESPACE_BEGIN
namespace detail {
using kino::park_result;
using kino::parker;
}  // namespace detail
KINO_NAMESPACE_END
