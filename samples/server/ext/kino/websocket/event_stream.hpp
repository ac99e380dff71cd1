// SPDX-License-Identifier: MIT
//
// Event streams: server-sent events as EventSource reads them (WHATWG HTML, "Server-sent events").

#pragma once

#include "http/request.hpp"
#include "websocket/frame.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace kino::server {

/// Whether the client asks for an event stream: GET, and "text/event-stream" itself among the types that it accepts.
[[nodiscard]] bool asks_event_stream(request const& asked);

/// What an event says beside its data.
struct event_fields {
  std::string_view type = {};                    ///< Empty: "message".
  std::optional<std::string_view> id = {};       ///< What the client sends as Last-Event-ID when it comes again.
  std::optional<std::uint64_t> retry_ms = {};    ///< How long the client waits before that.
};

/// Whether this can be the type of an event: it has no line break, and no NUL.
[[nodiscard]] bool is_event_field(std::string_view text) noexcept;

/// Whether this can be the id of an event: an event field that comes back unchanged as Last-Event-ID, a field of a request.
[[nodiscard]] bool is_event_id(std::string_view text) noexcept;

/// Encodes an event: each line of `data` as one of the event. Line breaks, which may be LF, CR or CRLF, arrive as LF. `data`
/// is text in UTF-8. Data that looks like an event is data like any other.
///
/// The type is an event field, the id an event id. Throws std::bad_alloc.
[[nodiscard]] shared_frame encode_event(std::string_view data, event_fields const& fields = {});

/// A comment, which clients ignore.
inline constexpr std::string_view event_stream_comment = ":\n\n";

}  // namespace kino::server
