// SPDX-License-Identifier: MIT
//
// Which fields may come after a body.

#pragma once

#include <string_view>

namespace kino::server {

/// Whether a field of this name may be a trailer (RFC 9110, 6.5.1). Fields that must be known before the body may not: those
/// about framing, routing, authentication, controls, conditions, and how to read the content. Spelling is ignored, as in
/// folded_name.
[[nodiscard]] bool may_be_trailer(std::string_view name);

}  // namespace kino::server
