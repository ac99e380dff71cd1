// SPDX-License-Identifier: MIT
//
// The former place of <kino/usable_cpus.hpp>.

#pragma once

#include <kino/usable_cpus.hpp>

KINO_NAMESPACE_BEGIN
namespace detail {
using kino::usable_cpus;
}  // namespace detail
KINO_NAMESPACE_END
