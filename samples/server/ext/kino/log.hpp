// SPDX-License-Identifier: MIT
//
// The one place where native code of the server says something to a person.

#pragma once

#include <string_view>

namespace kino::server {

/// Writes one line to standard error, with one system call and no lock.
void log_line(std::string_view text) noexcept;

}  // namespace kino::server
