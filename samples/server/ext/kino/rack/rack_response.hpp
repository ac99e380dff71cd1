// SPDX-License-Identifier: MIT
//
// Describes a Rack response: status, headers and body.

#pragma once

#include "http/exchange.hpp"
#include "rack/worker_context.hpp"

#include <kino/gvl.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace kino::server {

/// Defines Kino::PartialHijack, which the functions below raise for headers with "rack.hijack": a callable body, in the place
/// where Rack 2 has it. On the main Ractor.
void define_rack_response();

/// Sends a complete response to the request of `at`. `body` is an Array of Strings, a String or nil.
///
/// Raises ArgumentError or TypeError if HTTP does not allow the response; then nothing is sent, and the request stays
/// unanswered.
void send_response(gvl const& held, worker_context& at, VALUE status, VALUE headers, VALUE body);

/// Begins a response whose body is produced piece by piece; raises as above.
[[nodiscard]] response_writer begin_response(gvl const& held, worker_context& at, VALUE status, VALUE headers,
                                             std::optional<std::uint64_t> length);

/// Describes the response that makes `protocol` of the connection; raises as above.
[[nodiscard]] response_head& describe_upgrade(gvl const& held, exchange& to, std::string_view protocol, VALUE headers);

/// Describes the response with status 200 whose body is an event stream; raises as above.
[[nodiscard]] response_head& describe_stream(gvl const& held, exchange& to, VALUE headers);

/// Sends an interim response with these headers, values as above, and status 103, unless the request came over HTTP/1.0. Raises as
/// above.
void send_early_hints(gvl const& held, worker_context& at, VALUE headers);

/// Describes the trailers of the response to `to`: a Hash like that of the headers, or nil. Raises as above; the trailers
/// may be incomplete then.
void read_trailers(gvl const& held, exchange& to, VALUE trailers);

}  // namespace kino::server
