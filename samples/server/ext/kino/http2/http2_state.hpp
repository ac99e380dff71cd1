// SPDX-License-Identifier: MIT
//
// What HTTP/2 keeps with each exchange.

#pragma once

#include "base/byte_buffer.hpp"
#include "base/minimum_rate.hpp"
#include "http/exchange.hpp"
#include "http/rejection.hpp"
#include "http/response_buffer.hpp"
#include "http/response_fields.hpp"
#include "http/response_length.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace kino::server {

class http2_tunnel;

/// The http2_state of an exchange is its stream: how much of the request has come, and of the response has gone.
///
/// Threads: guarded by the lock of the http2_protocol, unless stated otherwise.
struct http2_state final : protocol_state {
  /// The state of an exchange on which `exchange::begin_state` was called for this type.
  [[nodiscard]] static http2_state& of(exchange& any) { return static_cast<http2_state&>(*any.state()); }
  [[nodiscard]] static http2_state const& of(exchange const& any) { return static_cast<http2_state const&>(*any.state()); }

  void clear() noexcept override {
    reply = {};
    pseudo = {};
    stage = stage::head;
    field_bytes = field_count = 0;
    problem = {};
    unconsumed = 0;
    ready = handed_over = client_ended = refused = false;
    early.clear(0);
    out.clear();
    trailers.clear(0);
    begun = last = ended = unsent = waits_for_data = writer_waits = reported = false;
    // release: pairs with the acquire in begin_request, which then uses the place again.
    if (counted_in) counted_in->fetch_sub(1, std::memory_order_release);
    counted_in = nullptr;
    gone.store(false, std::memory_order_relaxed);  // published with the exchange
  }

  /// A part of the text of a head.
  struct span {
    std::size_t start = 0;
    std::size_t length = 0;
  };
  enum class stage : std::uint8_t {
    head,      ///< Its header is being received.
    body,      ///< Its body or trailers are; the client is waited for.
    paused,    ///< Likewise, but the reader of its body is waited for.
    complete,  ///< All of it has been received, or no more of it is wanted.
    tunnel,    ///< It asks for another protocol: what follows is for that.
    unwanted,  ///< The response is complete, the body is not: it is received and dropped.
  };

  // --- the request ---

  std::int32_t stream = 0;
  exchange::reply reply;           // until it is handed over
  bool ready = false;              // it will be handed over, or its refusal be sent, once the lock is given back
  bool handed_over = false;        // then the reply belongs to the thread that does that
  struct {
    span method, target, authority, protocol;
    bool connect = false;
  } pseudo;
  enum stage stage = stage::head;
  std::size_t field_bytes = 0;
  std::size_t field_count = 0;
  rejection problem;               // of the head, to be answered when that is complete
  clock::time_point begun_at{};
  std::optional<minimum_rate> receiving;
  std::uint64_t body_bytes = 0;    // received
  std::size_t unconsumed = 0;      // bytes in the pipe for which the stream's window is still closed
  byte_buffer early;               // what the client has sent for another protocol before that began
  bool client_ended = false;       // the client has sent all of it
  bool refused = false;            // the response says why

  // --- the response ---

  response_buffer out;
  response_length length;
  response_fields trailers;
  bool begun = false;
  clock::time_point unwanted_since{};
  bool last = false;               // `out` has all that is left
  bool ended = false;              // ... and the last frame has been made
  bool unsent = false;             // counted in http2_protocol::unsent_streams_
  bool waits_for_data = false;     // the session must be told of more
  bool writer_waits = false;
  clock::time_point progress{};    // when a part of it was last sent ...
  clock::time_point waits_since{}; // ... or it began to wait for the client
  /// Whether the response will not reach the client. Any thread; relaxed: a hint, that nothing else depends on.
  std::atomic<bool> gone{false};

  // --- its place ---

  bool attached = false;           // the session has the stream
  http2_tunnel* tunnel = nullptr;  // what it carries since its response; counted
  bool reported = false;           // its exchange is, because it is a tunnel
  exchange* previous = nullptr;    // in the list of streams
  exchange* next = nullptr;
  exchange* next_done = nullptr;   // in lists of the thread that has the lock
  exchange* next_ready = nullptr;
  exchange* next_roomy = nullptr;
  /// Set if the client has reset the stream while the handler had it: counted until the handler lets go.
  std::atomic<std::uint32_t>* counted_in = nullptr;
};

}  // namespace kino::server
