// SPDX-License-Identifier: MIT
//
// The server's log: standard error, through a sink that makes nothing wait and nothing fail.

#pragma once

#include <kino/async_sink.hpp>

#include <string_view>

namespace kino::server {

/// What all lines of this process go through, Ruby's included, so that they keep their order. Never destroyed.
/// The first call makes it, and may throw; the extension's start makes it.
[[nodiscard]] kino::async_sink& log();

/// Logs one line, with the prefix "kino: ". Control characters become '?'; what is too long is cut.
void log_line(std::string_view text) noexcept;

}  // namespace kino::server
