// SPDX-License-Identifier: MIT
//
// What a connection does for a websocket, whatever it speaks.

#pragma once

#include "http/protocol.hpp"
#include "http/protocol_alarm.hpp"
#include "websocket/websocket.hpp"

#include <memory>
#include <span>
#include <string_view>

namespace kino::server {

/// A push_protocol does for a websocket what only the I/O thread can do: it waits for the client and watches the time. What
/// the client's bytes mean, and when a client is given up, is for the class derived from it.
///
/// Time: after settings::close_grace, a connection that is being closed ends. Before, an idle connection wakes no thread
/// between two pings.
///
/// Threads: the I/O thread.
class push_protocol : public protocol {
public:
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

protected:
  push_protocol(std::shared_ptr<websocket> of, protocol_context const& shared, protocol::host& connection, transport& to);

  /// Takes what the client has sent; there may be nothing.
  virtual void take(std::string_view bytes) = 0;
  /// Whether anything that the client sends is still of interest.
  [[nodiscard]] virtual bool expects_input() const { return true; }
  /// Pings the client of an open connection, or gives it up. Returns when to look again. With the lock of the websocket.
  [[nodiscard]] virtual clock::time_point check_client(clock::time_point now, websocket::deferred& then) = 0;

  std::shared_ptr<websocket> const of_;
  protocol::host& host_;
  bool reading_ = true;
  clock::time_point heard_at_;         // when the client last sent something, or was pinged

private:
  void check_time(clock::time_point now);

  protocol_alarm alarm_;
  clock::time_point closing_since_{};  // zero: it is not
};

}  // namespace kino::server
