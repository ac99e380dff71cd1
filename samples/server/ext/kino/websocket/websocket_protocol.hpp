// SPDX-License-Identifier: MIT
//
// What a connection speaks once it is a WebSocket.

#pragma once

#include "websocket/push_protocol.hpp"
#include "websocket/websocket_reader.hpp"

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace kino::server {

/// A websocket_protocol reads the frames of one client for a websocket.
///
/// Time: a client that has said nothing for the websocket's ping_interval gets a ping, and loses its connection if it says
/// nothing for as long again, unless its messages wait to be handled, and nothing is read. A closing handshake may take
/// settings::close_grace.
///
/// Threads: the I/O thread.
class websocket_protocol final : public push_protocol, private websocket_reader::sink {
public:
  websocket_protocol(std::shared_ptr<websocket> of, protocol_context const& shared, protocol::host& connection, transport& to);

private:
  using message = websocket::unhandled_message;

  // push_protocol
  void take(std::string_view bytes) override;
  [[nodiscard]] bool expects_input() const override { return !close_received_ && !violation_; }
  [[nodiscard]] clock::time_point check_client(clock::time_point now, websocket::deferred& then) override;

  // websocket_reader::sink
  void on_message(websocket_message const& one) override;
  void on_ping(std::string_view data) override;
  void on_close(std::uint16_t status) override { close_received_ = status; }
  void on_violation(std::uint16_t status) override { violation_ = status; }

  void deliver(websocket::deferred& then);

  websocket_reader reader_;
  bool pinged_ = false;  // and not heard since

  // What the reader has found in the bytes of one read.
  std::list<message> found_;
  std::string pongs_;
  std::optional<std::uint16_t> close_received_;
  std::optional<std::uint16_t> violation_;
};

}  // namespace kino::server
