// SPDX-License-Identifier: MIT
//
// Sends the status, headers and body of a Rack response.

#pragma once

#include "rack/worker_context.hpp"

#include <kino/gvl.hpp>

#include <cstdint>
#include <optional>

namespace kino::server {

/// Answers what `at` has in hand with a complete response. `body` is an Array of Strings, a
/// String or nil.
///
/// For a response that HTTP does not allow, raises ArgumentError or TypeError; nothing is sent, and
/// the request stays unanswered.
void answer_complete(gvl const& held, worker_context& at, VALUE status, VALUE headers, VALUE body);

/// Begins an answer whose body will be written bit by bit; raises as above.
[[nodiscard]] response_writer begin_answer(gvl const& held, worker_context& at, VALUE status, VALUE headers,
                                         std::optional<std::uint64_t> length);

}  // namespace kino::server
