// SPDX-License-Identifier: MIT
//
// What a connection speaks once it is an event stream.

#pragma once

#include "websocket/push_protocol.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace kino::server {

/// An event_stream_protocol sends the events of a websocket as the rest of an HTTP response, which ends with the connection.
///
/// The client has nothing more to say: a few bytes, such as a request sent ahead, are dropped, and a client that sends more
/// loses its connection. When it ends its direction, it has left.
///
/// Time: every ping_interval, a comment keeps proxies from ending the connection, and lets the system notice a client that
/// has vanished. A client that in that time has taken none of what is kept for it is given up.
///
/// Threads: the I/O thread.
class event_stream_protocol final : public push_protocol {
public:
  event_stream_protocol(std::shared_ptr<websocket> of, protocol_context const& shared, protocol::host& connection, transport& to)
      : push_protocol(std::move(of), shared, connection, to) {}

private:
  void take(std::string_view bytes) override;
  [[nodiscard]] clock::time_point check_client(clock::time_point now, websocket::deferred& then) override;

  static constexpr std::size_t most_ignored = 64 * 1024;

  std::size_t ignored_ = 0;
  // If something was kept when the client was last looked at: websocket::kept_sent_ then.
  std::optional<std::uint64_t> waiting_since_;
};

}  // namespace kino::server
