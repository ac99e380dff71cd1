// SPDX-License-Identifier: MIT
//
// The time as HTTP writes it.

#pragma once

#include <string_view>

namespace kino::server {

/// The value of a Date field now (RFC 9110, 5.6.7); valid until the next call of this thread.
[[nodiscard]] std::string_view http_date() noexcept;

}  // namespace kino::server
