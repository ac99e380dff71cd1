// SPDX-License-Identifier: MIT
//
// What a connection speaks: the meaning of its bytes.

#pragma once

#include "base/deadline.hpp"
#include "base/options.hpp"
#include "base/readiness.hpp"
#include "base/transport.hpp"
#include "http/endpoint.hpp"
#include "http/request_handler.hpp"
#include "http/streamed_bodies.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

namespace kino::server {

struct protocol_context;

/// A protocol makes exchanges of the bytes that the client of one connection sends, and bytes of the responses.
///
/// The connection reads from the transport and gives the bytes to the protocol. The protocol writes to the transport
/// itself, under a lock of its own, so that the thread that has a response sends it; that thread wakes the I/O thread
/// only for what is left. The protocol also closes the transport under this lock.
///
/// A protocol keeps the deadlines of its client, except for the one of a lingering connection.
///
/// Threads: the I/O thread, unless stated otherwise.
/// Errors:  std::exception, from what is not noexcept; the connection is then closed.
/// Lifetime: that of its connection, which the protocol's exchanges keep.
class protocol {
public:
  /// A host is the connection, as its protocol sees it.
  class host {
  public:
    // --- any thread ---

    /// Keeps the connection, and releases it, which may destroy it and the protocol.
    virtual void hold() noexcept = 0;
    virtual void drop() noexcept = 0;
    /// The I/O thread must call `attend` soon.
    virtual void wake() noexcept = 0;
    /// The I/O thread must call `flush_late` after tuning::gather_time.
    virtual void flush_later() noexcept = 0;
    /// The two ends of the connection.
    [[nodiscard]] virtual endpoint const& peer() const = 0;
    [[nodiscard]] virtual endpoint const& local() const = 0;

    // --- the I/O thread ---

    /// Reads on: `wants_input` may have become true.
    virtual void read_on() = 0;
    /// Does at once what the client has made possible: writes what waits for it, and reads what has arrived, if input is wanted.
    /// Calls the protocol, as events of the transport do, which may close the connection. For deadlines: this thread may have been
    /// busy, or not have run, since the client did something, which then came in time. Called from a deadline only.
    virtual void catch_up() = 0;
    /// Calls `output_ready` once, when the transport is readable or writable, as its last write has said. If that
    /// write wants to be readable, the I/O thread must have made it itself, from where it calls this: what the
    /// transport needs may have been read since another thread's write.
    virtual void await_output(io_result::state what) = 0;
    /// Discards what the client sends until it closes its side, or tuning::linger is over, and closes the connection.
    /// The transport has been shut down for writing.
    virtual void linger() = 0;
    /// Gives the connection to another protocol, which `start`s with `received`: bytes that this one has read and not
    /// used; `drain` and `input_ended` follow at once if that is how things are. This protocol is called no more, except by
    /// its exchanges, and lives as long as the connection. It has left no deadline set, and nothing that it wants to send.
    /// Called from `received` or `attend`, as the last action. If this throws, this protocol still has the connection.
    virtual void become(std::unique_ptr<protocol> next, std::string_view received) = 0;
    /// Makes what tells when another descriptor is ready, which the caller owns and closes later. Throws std::bad_alloc or
    /// std::system_error.
    [[nodiscard]] virtual std::unique_ptr<readiness> watch(int descriptor) = 0;
    /// Closes the connection; calls `close` of the protocol.
    virtual void close() noexcept = 0;
    /// Logs the exception and closes the connection.
    virtual void fail(std::exception const& why) noexcept = 0;

  protected:
    ~host() = default;
  };

  /// Makes the protocol of one connection. Any thread.
  using maker = std::function<std::unique_ptr<protocol>(protocol_context const&, host&, transport&)>;

  virtual ~protocol() = default;

  /// The connection begins, or another protocol hands it over: see host::become. `received` are the first bytes, if any
  /// have been read.
  virtual void start(std::string_view received) = 0;
  /// The server is being stopped: the connection ends when what has been received is answered.
  virtual void drain() = 0;
  /// The connection ends now: closes the transport and gives up everything that other threads do not hold.
  virtual void close() noexcept = 0;

  /// Whether bytes are to be read. If not, the protocol calls host::read_on when they are again.
  [[nodiscard]] virtual bool wants_input() const = 0;
  /// Returns where the next bytes are to be read to: `scratch`, its beginning, or memory of the protocol. Empty: nothing
  /// is to be read now.
  [[nodiscard]] virtual std::span<char> read_space(std::span<char> scratch) = 0;
  /// Takes bytes that were read into the beginning of `space`, which the last `read_space` has returned. Returns whether
  /// more is worth reading at once, before other connections are served.
  [[nodiscard]] virtual bool received(std::span<char> space, std::size_t length) = 0;
  /// The client will send no more.
  virtual void input_ended() = 0;
  /// The transport may take bytes again; see host::await_output.
  virtual void output_ready() noexcept = 0;

  /// What the connection is doing, as far as it matters to which one ends when there are too many.
  enum class activity : std::uint8_t {
    idle,       ///< It has had its responses, and has begun nothing else.
    awaited,    ///< Its client is waited for: its first request, the rest of one, or that it reads a response.
    answering,  ///< A request of it is handled.
  };
  [[nodiscard]] virtual activity doing() { return activity::answering; }

  /// Does what other threads have asked for, after host::wake. Not called once the connection is closed. It and
  /// `flush_late` may also be called without reason: for the protocol that was there before.
  virtual void attend() = 0;
  /// Sends what has gathered since host::flush_later was called.
  virtual void flush_late() noexcept = 0;
};

/// What the protocols of all connections of one I/O thread share.
struct protocol_context {
  limits const& limit;
  streamed_bodies const& streamed;  ///< The requests that reach the handler before their body.
  request_handler& handler;
  exchange_pool& exchanges;
  deadline_queue& deadlines;
  /// Whether the server is being stopped. relaxed: it takes effect on the next response, and protocol::drain follows.
  std::atomic<bool> const& draining;
  /// What a connection becomes whose client begins with the preface of HTTP/2; empty: that is an invalid request.
  protocol::maker const& http2;
};

}  // namespace kino::server
