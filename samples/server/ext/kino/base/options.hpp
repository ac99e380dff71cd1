// SPDX-License-Identifier: MIT
//
// What the server can be told, as the native side sees it. Ruby's option table has the
// defaults that users see; those here are for native programs and tests.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kino::server {

using clock = std::chrono::steady_clock;

/// The time now to within a few milliseconds, for a fraction of the price. For moments that are
/// noted with every request and only compared with timeouts.
inline clock::time_point coarse_now() noexcept {
#if defined(CLOCK_MONOTONIC_COARSE) && !defined(KINO_ONLY_POSIX)
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);  // the clock that steady_clock reads, too
  return clock::time_point(std::chrono::duration_cast<clock::duration>(
      std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec)));
#else
  return clock::now();
#endif
}

/// A bind is one address to listen on: a host and a port, or the path of a Unix socket.
struct bind_address {
  std::string host;
  std::uint16_t port = 0;
  std::string path;
  /// Permissions of the path's file; none: what the umask leaves.
  std::optional<unsigned> mode = std::nullopt;

  [[nodiscard]] bool local() const { return !path.empty(); }
  /// Whether the path is '@' and a name in Linux's abstract namespace: then there is no file.
  [[nodiscard]] bool abstract() const { return path.starts_with('@'); }
  /// As in a log line: "127.0.0.1:9292", "[::1]:9292", "unix:/run/app.sock" or "unix:@app".
  [[nodiscard]] std::string text() const {
    if (local()) return "unix:" + path;
    bool const six = host.find(':') != std::string::npos;
    return (six ? "[" + host + "]" : host) + ":" + std::to_string(port);
  }
};

/// Limits of one connection and of the requests on it.
struct limits {
  std::size_t max_header_size = 64 * 1024;  ///< At most tuning::most_header_size.
  std::size_t max_header_fields = 100;
  std::uint64_t max_body_size = 50 * 1024 * 1024;
  std::size_t max_keep_alive = 1000;
  std::size_t max_connections = 1024;
  /// Bytes of a collected request body that are kept in memory; the rest goes to a file.
  std::size_t body_buffer = 64 * 1024;
  /// Bytes per second that a client has to send of a request's body, and to read of an answer that
  /// waits for it; 0: any. See minimum_rate.
  std::uint64_t min_body_rate = 240;
  std::uint64_t min_response_rate = 240;
  clock::duration rate_grace = std::chrono::seconds(5);
  clock::duration header_timeout = std::chrono::seconds(15);
  clock::duration body_timeout = std::chrono::seconds(30);
  clock::duration keep_alive_timeout = std::chrono::seconds(65);
};

/// The numbers that nobody had a reason to change yet.
namespace tuning {
/// Requests of one connection that are read ahead of their answers.
inline constexpr std::size_t pipeline_depth = 16;
/// The largest max_header_size, so that positions in a head fit into 32 bits by far.
inline constexpr std::size_t most_header_size = 16 * 1024 * 1024;
/// Header fields for which an idle request object keeps memory.
inline constexpr std::size_t kept_fields = 256;
/// Bytes of a streamed request body that wait for their worker before the client has to wait.
inline constexpr std::size_t pipe_capacity = 64 * 1024;
/// Bytes of an answer that may wait for the client before its writer has to wait too.
inline constexpr std::size_t write_buffer = 128 * 1024;
/// Pieces of an answer smaller than this wait for more, until so much has gathered ...
inline constexpr std::size_t gather_size = 32 * 1024;
/// ... or for so long, if nothing else sends them.
inline constexpr std::chrono::milliseconds gather_time{1};
/// Bytes that one read takes from a socket at most.
inline constexpr std::size_t read_size = 64 * 1024;
/// ... and where a head is expected: the body behind it is better read to its own place.
inline constexpr std::size_t head_read_size = 8 * 1024;
/// Memory that an idle request object keeps for its next use, per buffer.
inline constexpr std::size_t kept_capacity = 16 * 1024;
/// Memory of collected bodies that an I/O thread keeps, in pieces of at most so many bytes.
inline constexpr std::size_t spare_bodies = 32;
inline constexpr std::size_t spare_capacity = 128 * 1024;
/// Reads of one body in a row, before other connections get their turn.
inline constexpr int body_reads = 16;
/// How long a connection is kept after the last answer so that the client can read it.
inline constexpr std::chrono::seconds linger{2};
/// A client that half-closes does so along with its request. One that closes this long after
/// it has given up waiting, and its request is not worth starting any more.
inline constexpr std::chrono::milliseconds half_close_grace{100};
}  // namespace tuning

class temporary_files;

struct options {
  std::vector<bind_address> binds;
  limits connection;
  unsigned io_threads = 1;
  /// Which requests reach the handler before their body: see streamed_bodies.
  std::vector<std::string> stream_body;
  /// Where large bodies are collected; null: in the default directory.
  std::shared_ptr<temporary_files const> files;
};

}  // namespace kino::server
