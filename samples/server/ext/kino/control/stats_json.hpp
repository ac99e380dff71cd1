// SPDX-License-Identifier: MIT
//
// The statistics of a server as JSON.

#pragma once

#include "control/control_settings.hpp"
#include "control/server_statistics.hpp"

#include <string>

namespace kino::server {

/// The same names and numbers as Server#stats in Ruby. Throws std::bad_alloc.
[[nodiscard]] std::string stats_json(server_statistics const& now, control_settings const& facts);

}  // namespace kino::server
