// SPDX-License-Identifier: MIT
//
// One thread of the load generator and its connections.

#pragma once

#include "histogram.hpp"
#include "response_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace load {

struct plan {
  int port = 0;
  std::string request;         // the complete request, sent repeatedly
  std::string const* expected = nullptr;
  double rate = 0;             // requests per second of all connections; 0: closed loop
  std::size_t connections = 64;
  std::int64_t begin = 0;      // start of the measured time, monotonic nanoseconds
  std::int64_t end = 0;
  std::int64_t grace = 0;      // after `end`, for open-loop requests that are still due
};

struct result {
  histogram latency;
  std::uint64_t completed = 0;  // within the measured time
  std::uint64_t connect_errors = 0;
  std::uint64_t socket_errors = 0;   // a connection failed with an outstanding request
  std::uint64_t status_errors = 0;   // anything but 200
  std::uint64_t body_errors = 0;     // an unexpected body, or not HTTP
  std::uint64_t reconnects = 0;      // because the server sent `connection: close`
  std::uint64_t unfinished = 0;      // open loop: due, but not answered at the end of the grace period
  std::int64_t oldest = 0;           // closed loop: age of the oldest outstanding request at the end
  std::vector<std::uint64_t> per_connection;
  std::string unexpected;            // from the first response with a status or body error
};

[[nodiscard]] std::int64_t now();

/// A client keeps its connections busy in one of two modes.
///
/// Closed loop: each connection sends its next request as soon as it has its response. The latency
/// is that of the exchange, including a reconnection.
///
/// Open loop: every connection has a schedule, independent of the responses. The latency of a
/// request begins when it was due, whether it was sent or not, so a stalled server does not reduce
/// the load. Requests that are never answered count with the time they have waited.
class client {
public:
  /// Connections `first`, `first + stride`, ... of all that `p` describes.
  client(plan const& p, std::size_t first, std::size_t stride);
  ~client();
  client(client const&) = delete;
  client& operator=(client const&) = delete;

  void run();
  [[nodiscard]] result const& measured() const { return result_; }

private:
  struct connection {
    explicit connection(std::string const* expected) : reader(expected) {}
    int socket = -1;
    std::size_t number = 0;    // among all connections
    std::size_t sent = 0;      // bytes of the request
    bool busy = false;         // a request is outstanding
    std::int64_t since = 0;    // when it began, or was due
    std::uint64_t turn = 0;    // open loop: number of requests due before the next one
    std::uint64_t completed = 0;
    response_reader reader;
  };

  void connect(connection& c);
  void disconnect(connection& c);
  void begin_request(connection& c, std::int64_t time);
  void send_some(connection& c);
  void read_some(connection& c);
  void complete(connection& c, bool usable, std::string_view bytes);
  void count_error(std::uint64_t& kind, std::string_view bytes);
  void broken(connection& c);
  void next(connection& c, std::int64_t time);
  [[nodiscard]] std::int64_t due(connection const& c, std::uint64_t turn) const;
  [[nodiscard]] bool open_loop() const { return plan_.rate > 0; }
  [[nodiscard]] std::int64_t start_due(std::int64_t time);
  [[nodiscard]] bool all_answered() const;
  void count_waiting(std::int64_t time);

  plan const plan_;
  int epoll_ = -1;
  std::int64_t start_ = 0;
  std::size_t timetable_ = 0;  // the connection whose turn is next
  std::vector<connection> connections_;
  std::vector<char> buffer_;
  result result_;
};

}  // namespace load
