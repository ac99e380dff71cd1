// SPDX-License-Identifier: MIT
//
// Is told of every exchange at its end: for access logs, histograms and hooks.

#pragma once

#include "base/options.hpp"

#include <cstdint>

namespace kino::server {

class exchange;

/// How an exchange ended.
enum class exchange_end : std::uint8_t {
  complete,      ///< The system has taken the whole response.
  disconnected,  ///< The connection ended before: the client left or was too slow, or the server closed it.
  cut,           ///< The handler ended its response before it was complete.
  expired,       ///< No worker took the request in time, or its worker did not respond in time; the response says so.
  abandoned,     ///< The handler dropped the request without a response; the response says so.
  refused,       ///< The request was malformed or exceeded a limit; the response says so.
};

/// What an application says that an exchange belongs to, such as a route. An observer derives its own class from it, and gets
/// back only objects of that class.
struct exchange_label {
protected:
  ~exchange_label() = default;
};

/// What is known of an exchange at its end. Times that were not reached are zero.
struct exchange_report {
  exchange const& subject;       ///< Its request and the two ends of its connection. Not its response.
  exchange_end how;
  int status;                    ///< Of the response; 0 if none was begun.
  std::uint64_t request_bytes;   ///< Of the body, as received so far.
  std::uint64_t response_bytes;  ///< Of the body, as its connection accepted them for sending.
  clock::time_point started;     ///< The first byte of the request was parsed.
  clock::time_point ready;       ///< The request was given to the handler.
  clock::time_point taken;       ///< A worker took it.
  clock::time_point answered;    ///< The response began.
  clock::time_point ended;
  exchange_label* label = nullptr;  ///< Null if the application has given none.
};

/// An observer is told of each exchange once: when the system has taken all of its response, or when none will be
/// sent any more. A handler may still be at work on it then.
///
/// An exchange counts from the moment its head is complete, or it is refused. What a client sends behind a response that
/// ends the connection is no exchange.
///
/// Threads: any thread calls it, several at the same time, each without a lock.
/// Blocks:  it must not: the caller is an I/O thread, or a worker that holds the GVL.
/// Ruby:    it must not call Ruby.
class observer {
public:
  virtual void ended(exchange_report const& report) noexcept = 0;

protected:
  ~observer() = default;
};

}  // namespace kino::server
