// SPDX-License-Identifier: MIT
//
// socket_relay: moves bytes between a connection and a socket of the application.

#pragma once

#include "base/byte_buffer.hpp"
#include "base/readiness.hpp"
#include "base/transport.hpp"
#include "http/protocol.hpp"
#include "http/protocol_alarm.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace kino::server {

/// A socket_relay is the protocol of a connection that has been taken over by an application which cannot have its socket:
/// because of TLS, or because some of its bytes have already been read. The application has one end of a pair of sockets,
/// and the relay moves bytes between the other end and the client, unchanged.
///
/// Each direction has a buffer of at most tuning::pipe_capacity bytes; while it is full, its sender waits. Each side may
/// end its own direction, which the other one sees once it has read what was sent before. When the application has closed
/// its socket, the connection ends; if it has only ended its direction, the connection ends with the client, or when nothing
/// has arrived for keep_alive_timeout. There are no other time limits.
///
/// When the server is being stopped, the application sees the end of what the client sends, and the connection ends when the
/// application has ended its direction.
///
/// Threads: the I/O thread.
class socket_relay final : public protocol, private readiness::waiter {
public:
  /// `application` is the relay's end of the pair.
  socket_relay(protocol_context const& shared, protocol::host& connection, transport& client,
               std::unique_ptr<transport> application);

  // protocol
  void start(std::string_view received) override;
  void drain() override;
  void close() noexcept override;
  [[nodiscard]] bool wants_input() const override { return !input_over_ && to_application_.size() < tuning::pipe_capacity; }
  [[nodiscard]] std::span<char> read_space(std::span<char> scratch) override;
  [[nodiscard]] bool received(std::span<char> space, std::size_t length) override;
  void input_ended() override;
  void output_ready() noexcept override;
  void attend() override {}
  void flush_late() noexcept override {}

private:
  // readiness::waiter
  void ready(readiness::event what) noexcept override;
  void hold() noexcept override { host_.hold(); }
  void drop() noexcept override { host_.drop(); }

  void check_silence(clock::time_point now);
  void move();
  void move_guarded() noexcept;
  void feed_application();
  void read_application();
  void feed_client();
  void end_if_done();
  void wait(readiness::event what, bool& waits);
  [[nodiscard]] bool application_closed() const;

  protocol_context const& shared_;
  protocol::host& host_;
  transport& client_;
  std::unique_ptr<transport> const application_;
  std::unique_ptr<readiness> events_;  // of the application's socket
  protocol_alarm silence_;
  clock::time_point silent_until_ = clock::time_point::max();  // max: what the client sends is not waited for
  byte_buffer to_application_;
  byte_buffer to_client_;

  bool open_ = true;
  bool lingering_ = false;       // the connection ends, and needs us no more
  bool reading_ = false;         // a wait of events_ is pending
  bool writing_ = false;         // likewise
  bool client_waits_ = false;    // the client takes no more for now
  bool client_ended_ = false;    // it sends no more
  bool input_over_ = false;      // nothing more is taken from it
  bool input_end_told_ = false;  // the application knows that
  bool application_ended_ = false;
  bool application_gone_ = false;  // it reads no more either
  bool output_end_told_ = false;   // the client knows that
};

}  // namespace kino::server
