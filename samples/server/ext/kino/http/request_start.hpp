// SPDX-License-Identifier: MIT
//
// request_start: when a proxy has received a request.

#pragma once

#include "http/field_section.hpp"

#include <chrono>
#include <optional>
#include <string_view>

namespace kino::server {

/// The time in the value of an X-Request-Start field: seconds, milliseconds or microseconds of Unix time, possibly with a
/// fraction and with "t=" in front, as proxies write it. None if it is no time, or none from September 2001 to 2255.
[[nodiscard]] std::optional<std::chrono::system_clock::time_point> request_start_of(std::string_view value);

/// When a proxy says that it has received the request with these fields. Believe it only of a trusted one.
[[nodiscard]] std::optional<std::chrono::system_clock::time_point> request_start(field_section const& fields);

}  // namespace kino::server
