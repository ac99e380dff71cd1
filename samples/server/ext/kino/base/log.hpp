// SPDX-License-Identifier: MIT
//
// The server's log: standard error, through a sink that never blocks or fails its callers.

#pragma once

#include <kino/async_sink.hpp>

#include <string_view>

namespace kino::server {

/// The sink for all lines of this process, including those from Ruby, so they stay in order. Never destroyed.
/// The first call makes it, and may throw; the extension's start makes it.
[[nodiscard]] kino::async_sink& log();

/// Logs one line, with the prefix "kino: ". Control characters are replaced by '?'; long lines are truncated.
void log_line(std::string_view text) noexcept;

}  // namespace kino::server
