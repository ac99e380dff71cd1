// SPDX-License-Identifier: MIT
//
// http_version: the version of HTTP that a client uses.

#pragma once

#include <cstdint>

namespace kino::server {

/// The version of a request. Later minor versions of HTTP/1 count as HTTP/1.1.
enum class http_version : std::uint8_t { http_1_0, http_1_1, http_2 };

}  // namespace kino::server
