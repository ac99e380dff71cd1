// SPDX-License-Identifier: MIT
//
// Values in log lines, so that no client can end a line, begin a field or control a terminal.

#pragma once

#include "observers/line_buffer.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace kino::server {

/// Appends `bytes` as printable ASCII, with "\xHH" for all other bytes, quotation marks and backslashes.
void append_escaped(line_buffer& out, std::string_view bytes);
/// Appends `bytes` as the inside of a string of JSON, in ASCII. Bytes that are not UTF-8 become U+FFFD.
void append_json_escaped(line_buffer& out, std::string_view bytes);
void append_json_escaped(std::string& out, std::string_view bytes);
void append_number(line_buffer& out, std::uint64_t number);
/// Appends seconds with six decimals; a negative duration as zero.
void append_seconds(line_buffer& out, std::chrono::nanoseconds duration);
/// Appends "2026-11-27T07:10:01.250Z".
void append_utc_time(line_buffer& out, std::chrono::system_clock::time_point at);
/// Appends "27/Nov/2026:08:10:01 +0100".
void append_local_time(line_buffer& out, std::chrono::system_clock::time_point at);

}  // namespace kino::server
