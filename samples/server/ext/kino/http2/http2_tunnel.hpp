// SPDX-License-Identifier: MIT
//
// A stream of HTTP/2 that carries another protocol: an event stream, for example.

#pragma once

#include "base/byte_buffer.hpp"
#include "base/transport.hpp"
#include "http/protocol.hpp"
#include "http/upgrade.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace kino::server {

class exchange;
class http2_protocol;

/// An http2_tunnel is what a connection and its transport are to a protocol, on one stream of HTTP/2. It begins with the
/// response that upgrades its stream, see upgrade, and the client sees the bytes of the protocol as the body of that
/// response.
///
/// It takes what the protocol writes only as long as the client lets it through: a part of at most tuning::stream_window waits for
/// the client's window. Then `write_some` takes nothing, as a full socket does. What the client sends reaches the protocol on the I/O
/// thread, without the lock, and opens the window again unless the protocol wants no input.
///
/// `shutdown_write` ends the body. `close` with an error resets the stream, and so do host::close and host::fail; the connection goes
/// on. When the stream ends, or the connection, the protocol is closed.
///
/// Threads: as of protocol::host and transport. The lock is that of the http2_protocol; the lock of a protocol may be held when it
///          is taken, never the other way round.
/// Lifetime: counted; it keeps the connection. The stream has one reference, and each list of what is due.
class http2_tunnel final : public protocol::host, public transport {
public:
  /// With the lock. The stream of `on` gets the response `carries`; `next` makes the protocol.
  http2_tunnel(http2_protocol& on, exchange& carries, std::shared_ptr<upgrade> next);
  http2_tunnel(http2_tunnel const&) = delete;

  // protocol::host
  void hold() noexcept override;
  void drop() noexcept override;
  void wake() noexcept override { tell(attention); }
  void flush_later() noexcept override { tell(late_flush); }
  [[nodiscard]] endpoint const& peer() const override;
  [[nodiscard]] endpoint const& local() const override;
  void read_on() override;
  /// For the whole connection, whose other streams may end meanwhile.
  void catch_up() override;
  void await_output(io_result::state what) override;
  void linger() override;
  /// Not there: throws std::logic_error.
  void become(std::unique_ptr<protocol> next, std::string_view received) override;
  /// Not there: throws std::logic_error.
  [[nodiscard]] std::unique_ptr<readiness> watch(int descriptor) override;
  void close() noexcept override;
  void fail(std::exception const& why) noexcept override;

  // transport
  /// There is never anything to read: what the client sends is handed over.
  [[nodiscard]] io_result read_some(std::span<char> into) noexcept override;
  [[nodiscard]] io_result write_some(std::span<iovec const> pieces) noexcept override;
  void shutdown_write() noexcept override;
  void close(transport::ending how) noexcept override;
  [[nodiscard]] std::uint64_t unacknowledged() const noexcept override { return 0; }
  [[nodiscard]] int descriptor() const noexcept override { return -1; }

private:
  friend class http2_protocol;

  /// What is due on the I/O thread, as bits.
  enum event : unsigned {
    begin = 1,        ///< The response is on its way.
    input = 2,        ///< The client has sent something.
    input_end = 4,    ///< ... all of it.
    room = 8,         ///< All that was written is on its way to the client: `write_some` takes bytes again.
    attention = 16,   ///< The protocol has asked for `attend`.
    late_flush = 32,  ///< ... for `flush_late`.
    drain = 64,       ///< The server is being stopped.
    end = 128,        ///< The stream has ended.
  };

  ~http2_tunnel();

  // With the lock.
  void note(unsigned what) noexcept;
  void received(std::string_view bytes);
  void sent() noexcept;
  void unwatched() noexcept;
  void ended() noexcept;

  // Without it.
  void tell(unsigned what) noexcept;
  void serve() noexcept;
  void start();
  void hand_over(byte_buffer& bytes);
  void consume(std::size_t length);

  http2_protocol& of_;
  std::atomic<std::uint32_t> count_{1};

  // Guarded by the lock of the http2_protocol.
  exchange* stream_;             // null: it has ended
  unsigned due_ = 0;
  http2_tunnel* next_due_ = nullptr;
  byte_buffer input_;
  bool awaits_room_ = false;
  bool watched_ = true;          // counted in http2_protocol::open_tunnels_
  bool over_ = false;            // the protocol has learnt of the end

  // The I/O thread's own.
  std::shared_ptr<upgrade> next_;
  std::unique_ptr<protocol> speaks_;
  std::size_t unconsumed_ = 0;   // bytes for which the client's window is still closed
  bool closed_ = false;
};

}  // namespace kino::server
