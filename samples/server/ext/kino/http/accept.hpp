// SPDX-License-Identifier: MIT
//
// Which media types a client accepts (RFC 9110, 12.5.1).

#pragma once

#include <string_view>

namespace kino::server {

/// Whether `accept`, the value of an Accept field, names the media type `type` itself, with a weight other than 0. A range such as
/// "*/*" does not name it.
[[nodiscard]] bool names_media_type(std::string_view accept, std::string_view type) noexcept;

}  // namespace kino::server
