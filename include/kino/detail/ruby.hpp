// SPDX-License-Identifier: MIT
//
// The former place of <kino/wait.hpp>.

#pragma once

#include <kino/wait.hpp>

KINO_NAMESPACE_BEGIN
namespace detail {
using kino::ruby_has_thread_events;
using kino::ruby_pins_threads;
using kino::try_without_gvl;
inline VALUE new_hash(long capacity) { return kino::new_hash(gvl_of_call::get(), capacity); }
inline park_result park_without_gvl(gvl const& held, parker& spot, deadline until) {
  return park_until(held, spot, until);
}
}  // namespace detail
KINO_NAMESPACE_END
