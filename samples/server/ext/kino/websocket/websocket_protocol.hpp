// SPDX-License-Identifier: MIT
//
// What a connection speaks once it is a WebSocket.

#pragma once

#include "http/protocol.hpp"
#include "http/protocol_alarm.hpp"
#include "websocket/websocket.hpp"
#include "websocket/websocket_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kino::server {

/// A websocket_protocol reads the frames of one client for a websocket, and does for it what only the I/O thread can do.
///
/// Time: a client that has said nothing for the websocket's ping_interval gets a ping, and loses its connection if it says
/// nothing for as long again. A closing handshake may take settings::close_grace. Between pings, an idle connection
/// wakes no thread.
///
/// Threads: the I/O thread.
class websocket_protocol final : public protocol, private websocket_reader::sink {
public:
  websocket_protocol(std::shared_ptr<websocket> of, protocol_context const& shared, protocol::host& connection, transport& to);

  void start(std::string_view received) override;
  void drain() override;
  void close() noexcept override;
  [[nodiscard]] bool wants_input() const override { return reading_; }
  [[nodiscard]] std::span<char> read_space(std::span<char> scratch) override { return scratch; }
  [[nodiscard]] bool received(std::span<char> space, std::size_t length) override;
  void input_ended() override { host_.close(); }
  void output_ready() noexcept override;
  void attend() override;
  void flush_late() noexcept override {}

private:
  using message = websocket::unhandled_message;

  // websocket_reader::sink
  void on_message(bool text, std::string_view data) override;
  void on_ping(std::string_view data) override;
  void on_close(std::uint16_t status) override { close_received_ = status; }
  void on_violation(std::uint16_t status) override { violation_ = status; }

  void take(std::string_view bytes);
  void deliver(websocket::deferred& then);
  void check_time(clock::time_point now);

  std::shared_ptr<websocket> const of_;
  protocol::host& host_;
  protocol_alarm alarm_;
  websocket_reader reader_;
  bool reading_ = true;
  clock::time_point heard_at_;           // when the client last sent something, or was asked to ...
  bool pinged_ = false;                  // ... namely the latter
  clock::time_point closing_since_{};    // zero: it is not

  // What the reader has found in the bytes of one read.
  std::list<message> found_;
  std::string pongs_;
  std::optional<std::uint16_t> close_received_;
  std::optional<std::uint16_t> violation_;
};

}  // namespace kino::server
