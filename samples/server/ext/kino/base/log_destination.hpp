// SPDX-License-Identifier: MIT
//
// Where log lines go: one sink for each destination of this process.

#pragma once

#include <kino/async_sink.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace kino::server {

/// The sink for "stdout", "stderr", a daemon (see find_system_log) or the file at a path; the first call for a destination
/// makes it. Writers that share a destination thus share a sink, so their lines keep their order and stay whole. "stderr" is
/// `log()`.
///
/// A sink is never destroyed, as the threads of a server that has been stopped may still write to it. Lines that a
/// destination does not take are reported in `log()`.
///
/// Throws: std::system_error, if it cannot be opened; std::invalid_argument, as find_system_log; std::bad_alloc.
[[nodiscard]] kino::async_sink& log_destination(std::string const& name);

/// Likewise, as a number, by which Ruby knows it.
[[nodiscard]] std::uint64_t log_number(std::string const& name);
/// The sink with this number; null if there is none.
[[nodiscard]] kino::async_sink* log_with(std::uint64_t number) noexcept;

/// Makes every file be reopened at its path before its next line.
void reopen_logs() noexcept;

/// Waits at most `patience` until all lines queued so far are written or dropped, in all destinations.
bool flush_logs(std::chrono::nanoseconds patience) noexcept;

}  // namespace kino::server
