// SPDX-License-Identifier: MIT
//
// A connection: one transport and one protocol.

#pragma once

#include "base/deadline.hpp"
#include "base/readiness.hpp"
#include "base/transport.hpp"
#include "http/endpoint.hpp"
#include "http/protocol.hpp"
#include "net/notice.hpp"

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <vector>

namespace kino::server {

class io_thread;

/// A connection waits for its transport, reads from it, and gives the bytes to its protocol, which writes the responses.
///
/// It ends in one of two ways. Its protocol lets it linger after the last response, until the client has closed its
/// side: closing it while bytes of the client are unread would reset the connection, and the client would lose the
/// response. Or it is closed at once.
///
/// Threads: its I/O thread, except `wake`, `flush_later`, `hold` and `drop`.
/// Lifetime: counted. The open connection counts for one, so does each of its exchanges and
/// each pending asynchronous operation.
class connection final : private protocol::host, private readiness::waiter {
public:
  /// Any thread.
  connection(io_thread& home, std::unique_ptr<transport> client, std::unique_ptr<readiness> events, endpoint peer,
             endpoint const& local);

  void start() noexcept;
  void hold() noexcept override;
  void drop() noexcept override;
  /// Does what the http_server has begun: to drain, or to close, whatever is going on.
  void follow_server() noexcept;
  /// See protocol::doing.
  [[nodiscard]] protocol::activity doing() const { return protocol_->doing(); }
  /// See protocol::flush_late.
  void flush_late() noexcept { protocol_->flush_late(); }

private:
  friend class io_thread;
  using reference = readiness::reference;

  ~connection() = default;

  // protocol::host
  void wake() noexcept override;
  void flush_later() noexcept override;
  [[nodiscard]] endpoint const& peer() const override { return peer_; }
  [[nodiscard]] endpoint const& local() const override { return local_; }
  void read_on() override { wait_readable(); }
  void catch_up() override;
  void await_output(io_result::state what) override;
  void linger() override;
  void become(std::unique_ptr<protocol> next, std::string_view received) override;
  [[nodiscard]] std::unique_ptr<readiness> watch(int descriptor) override;
  void close() noexcept override;
  void fail(std::exception const& why) noexcept override;

  // readiness::waiter
  void ready(readiness::event what) noexcept override;

  template <class Work>
  void guarded(Work work) noexcept;
  void attend();
  [[nodiscard]] bool wants_input() const;
  void wait_readable();
  void wait_writable();
  void readable();
  void read(bool all = false);
  void input_ended();
  void end_lingering() noexcept;
  void output_ready(io_result::state what) noexcept;

  std::atomic<std::uint32_t> references_{1};
  io_thread& home_;
  std::unique_ptr<transport> const transport_;
  std::unique_ptr<readiness> const events_;
  endpoint const peer_;
  endpoint const& local_;
  notice wake_notice_;
  deadline linger_due_;  // cleared once closed: the connection may outlive the I/O thread
  std::unique_ptr<protocol> protocol_;
  std::vector<std::unique_ptr<protocol>> former_;  // their exchanges may still refer to them

  bool open_ = true;
  bool reading_ = false;  // a wait of events_ is pending
  bool writing_ = false;  // likewise
  bool read_due_ = false; // `attend` will read
  bool input_ended_ = false;
  bool lingering_ = false;  // what comes is thrown away
  // What the protocol's next write waits for; `done`: nothing.
  io_result::state output_waits_ = io_result::state::done;
  bool input_waits_for_writable_ = false;  // what the next read waits for

  bool live_ = true;  // counted as such by the http_server
  connection* previous_ = nullptr;  // in its I/O thread's list
  connection* next_ = nullptr;
  connection* next_unflushed_ = nullptr;  // likewise
};

// When a connection lacks memory for something, only this connection ends.
template <class Work>
void connection::guarded(Work work) noexcept {
  try {
    work();
  } catch (std::exception const& failed) {
    fail(failed);
  }
}

}  // namespace kino::server
