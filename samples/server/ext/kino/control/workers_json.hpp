// SPDX-License-Identifier: MIT
//
// What each worker does, as JSON.

#pragma once

#include "control/control_source.hpp"

#include <optional>
#include <string>

namespace kino::server {

/// The backtraces that a client has asked for: JSON of Ruby, or none because Ruby did not answer.
using backtraces = std::optional<std::string>;

/// Everything that /workers has; `wanted`: null if no backtraces were asked for. Throws std::bad_alloc.
[[nodiscard]] std::string workers_json(control_source const& source, backtraces const* wanted);

}  // namespace kino::server
