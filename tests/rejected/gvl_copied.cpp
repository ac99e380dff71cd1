// SPDX-License-Identifier: MIT
//
// error: deleted

#include <kino/dispatch.hpp>

// The token is captured by value, to be used in a thread that does not hold the GVL.
void work(kino::gvl const& held) {
  kino::native_thread thread([held](std::stop_token) { held.check_interrupts(); });
}
