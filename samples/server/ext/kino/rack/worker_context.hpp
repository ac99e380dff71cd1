// SPDX-License-Identifier: MIT
//
// worker_context: the state of what a worker handles.

#pragma once

#include "base/byte_buffer.hpp"
#include "http/exchange.hpp"
#include "http/response_writer.hpp"
#include "rack/attachment.hpp"
#include "rack/request_number.hpp"
#include "websocket/websocket_turn.hpp"

#include <atomic>
#include <cstdint>
#include <utility>

namespace kino::server {

/// A worker_context holds the state of one worker's request, from the time it is taken until it ends, or the turn of a
/// WebSocket.
///
/// Threads: those of the worker's Ractor, with the GVL; any may read the counters.
struct worker_context {
  request_number number{*this};
  clock::duration waited{};  // the current request, for a worker
  exchange::reply reply;  // of the current request; empty: there is none
  websocket_turn turn;    // likewise
  response_writer writer;
  attachment_slot input;   // the Ruby object that reads the body
  attachment_slot stream;  // the Ruby object that writes the response

  byte_buffer scratch;     // empty between calls

  bool early_hints = false;  // offered over HTTP/1.1; constant once the worker has joined
  bool hijacked = false;  // the application has the connection of the current request
  bool counted = true;  // whether the current request, if any, has been counted as served

  // Statistics of the slot, over all workers that had it. One writer, read by anyone: relaxed, they order
  // nothing. The system call that sends a response comes after its count, so a
  // client that has read the response finds it counted.
  std::atomic<std::uint64_t> served{0};
  std::atomic<std::uint64_t> waited_count{0};
  std::atomic<std::uint64_t> waited_ns{0};

  /// Counts the request as served, once. Called before the bytes that complete its response are sent,
  /// or when its worker drops it.
  void count_served() {
    if (std::exchange(counted, true)) return;
    served.store(served.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  void count_wait(clock::duration time) {
    waited = time;
    waited_count.store(waited_count.load(std::memory_order_relaxed) + 1,
                       std::memory_order_relaxed);
    waited_ns.store(waited_ns.load(std::memory_order_relaxed) +
                        static_cast<std::uint64_t>(
                            std::chrono::duration_cast<std::chrono::nanoseconds>(time).count()),
                    std::memory_order_relaxed);
  }

  /// Drops the request: aborts an incomplete response, abandons an unanswered request or an unfinished turn.
  void let_go() {
    turn = {};
    input.cut();
    stream.cut();
    hijacked = false;
    if (!reply) return;
    number.end();
    exchange::of(reply).cancelling().finish();
    if (writer.open()) writer.abort();
    writer = {};
    exchange::of(reply).close_body();
    reply = {};
  }
};

/// Keeps an exchange alive during one call, even if its worker_context drops it in the meantime.
class exchange_hold {
public:
  explicit exchange_hold(exchange& held) : held_(held) { held_.add_weak(); }
  ~exchange_hold() { held_.drop_weak(); }
  exchange_hold(exchange_hold const&) = delete;

private:
  exchange& held_;
};

}  // namespace kino::server
