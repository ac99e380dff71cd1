// SPDX-License-Identifier: MIT
//
// The logging daemons of a system, as destinations of log lines: syslog and journald.

#pragma once

#include <kino/async_sink.hpp>

#include <optional>
#include <string>

namespace kino::server {

/// The daemon that a destination such as "syslog:/dev/log?facility=3&tag=kino" or
/// "journald:/run/systemd/journal/socket?facility=3&tag=kino" names; none if it names something else. Ruby's
/// Kino::LogDestination completes what users write to this form.
///
/// Each line becomes one message of the level "info", from the process that sends it; what exceeds 64 KiB is cut. syslog gets
/// the form that syslog(3) sends: "<30>Nov 27 07:10:01 kino[4711]: line". journald gets an entry of its native protocol.
///
/// Throws: std::invalid_argument, if the facility is not 0 to 23; std::bad_alloc.
[[nodiscard]] std::optional<kino::async_sink::daemon> find_system_log(std::string const& destination);

}  // namespace kino::server
