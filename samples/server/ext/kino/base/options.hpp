// SPDX-License-Identifier: MIT
//
// The options of the native server. Ruby's option table has the defaults that users see; the
// defaults here are for native programs and tests.

#pragma once

#include "tls/tls_settings.hpp"

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

/// The current time to within a few milliseconds, at a fraction of the cost. For times that are
/// recorded with every request and only compared with timeouts.
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
  /// Permissions of the path's file; none: determined by the umask.
  std::optional<unsigned> mode = std::nullopt;
  /// The file's owner and group, as numbers; none: those of this process.
  std::optional<unsigned> user = std::nullopt;
  std::optional<unsigned> group = std::nullopt;
  /// Whether its connections are encrypted; then options::tls is set.
  bool tls = false;
  /// Whether connections of options::trusted_proxies begin with a header of the PROXY protocol, in front of TLS, too.
  bool proxy_protocol = false;
  /// Whether port 0 stands for the port of the address before: that of localhost for IPv6, which has one for IPv4, too.
  bool same_port = false;
  /// A descriptor of a socket that listens there already, which the listener duplicates; none: it opens one.
  std::optional<int> socket = std::nullopt;

  [[nodiscard]] bool local() const { return !path.empty(); }
  /// Whether the path is '@' and a name in Linux's abstract namespace: then there is no file.
  [[nodiscard]] bool abstract() const { return path.starts_with('@'); }
  /// Text for log lines: "127.0.0.1:9292", "[::1]:9292", "unix:/run/app.sock" or "unix:@app".
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
  /// Bytes of a collected request body kept in memory; the rest is written to a file.
  std::size_t body_buffer = 64 * 1024;
  /// Bytes of a response that wait for its client in a file, beyond tuning::write_buffer in memory. When that is
  /// full, the writer of a streamed response must wait; the rest of any other stays in memory. 0: none.
  std::uint64_t max_response_temp_file = 0;
  /// Whether clients of HTTP/2 may ask for WebSockets, by an extended CONNECT (RFC 8441).
  bool http2_websockets = false;
  /// Minimum rates in bytes per second at which a client must send a request body, and read a
  /// response that waits for it; 0: no minimum. See minimum_rate.
  std::uint64_t min_body_rate = 240;
  std::uint64_t min_response_rate = 240;
  clock::duration rate_grace = std::chrono::seconds(5);
  clock::duration header_timeout = std::chrono::seconds(15);
  clock::duration body_timeout = std::chrono::seconds(30);
  clock::duration keep_alive_timeout = std::chrono::seconds(65);
  /// Requests of one HTTP/2 connection that may be unanswered at a time.
  std::uint32_t max_concurrent_streams = 100;
};

/// Constants that are not configurable.
namespace tuning {
/// Number of requests of one connection that are read ahead.
inline constexpr std::size_t pipeline_depth = 16;
/// The largest max_header_size; positions in a head easily fit into 32 bits.
inline constexpr std::size_t most_header_size = 16 * 1024 * 1024;
/// Header fields for which an idle request object keeps memory.
inline constexpr std::size_t kept_fields = 256;
/// Bytes of a streamed request body that are buffered before reading from the client stops.
inline constexpr std::size_t pipe_capacity = 64 * 1024;
/// Bytes of a response that are buffered for the client in memory.
inline constexpr std::size_t write_buffer = 128 * 1024;
/// Chunks of a response smaller than this are coalesced up to this size ...
inline constexpr std::size_t gather_size = 32 * 1024;
/// ... or for this time, if nothing else sends them.
inline constexpr std::chrono::milliseconds gather_time{1};
/// Maximum number of bytes of one read from a socket.
inline constexpr std::size_t read_size = 64 * 1024;
/// ... and where a head is expected: the following body is better read directly into its buffer.
inline constexpr std::size_t head_read_size = 8 * 1024;
/// Smaller files are copied like other bodies: it costs less than handing them to the I/O thread.
inline constexpr std::uint64_t least_file = 512 * 1024;
/// Maximum number of bytes of a file that are sent, and perhaps read from the disk, at a time.
inline constexpr std::size_t file_slice = 256 * 1024;
/// Memory that an idle request object keeps for its next use, per buffer.
inline constexpr std::size_t kept_capacity = 16 * 1024;
/// HTTP/2: bytes of a request body, and of all bodies of a connection, that a client may send before the server has taken
/// them ...
inline constexpr std::uint32_t stream_window = 64 * 1024;
inline constexpr std::uint32_t connection_window = 1024 * 1024;
/// ... and of a body that is collected.
inline constexpr std::uint32_t collecting_window = 512 * 1024;
/// HTTP/2: bytes of frames that are sent in one write.
inline constexpr std::size_t frames_size = 64 * 1024;
/// How long an idle connection is kept when the server is being stopped: the client may have begun a request. HTTP/2:
/// time for a client to learn that it should begin no more requests, before those that it begins are refused.
inline constexpr std::chrono::seconds drain_grace{1};
/// Memory for collected bodies that an I/O thread keeps, in blocks of at most this size.
inline constexpr std::size_t spare_bodies = 32;
inline constexpr std::size_t spare_capacity = 128 * 1024;
/// Consecutive reads of one connection before others are served.
inline constexpr int reads_in_a_row = 16;
/// How long a connection is kept after the last response so the client can read it.
inline constexpr std::chrono::seconds linger{2};
/// A client that half-closes does so together with its request. One that closes this much later
/// has given up waiting, and its request is not started.
inline constexpr std::chrono::milliseconds half_close_grace{100};
}  // namespace tuning

/// The header fields in which proxies describe the client of a request.
enum class forwarded_headers : std::uint8_t {
  none,
  x_forwarded,  ///< X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host and X-Forwarded-Port
  forwarded,    ///< Forwarded (RFC 7239)
};

/// What the option calls them.
constexpr char const* name_of(forwarded_headers which) {
  switch (which) {
    case forwarded_headers::x_forwarded: return "x_forwarded";
    case forwarded_headers::forwarded: return "forwarded";
    case forwarded_headers::none: break;
  }
  return "none";
}

class observer;
class temporary_files;

struct options {
  std::vector<bind_address> binds;
  /// Whether other sockets may listen on the same TCP addresses, if they allow it, too (SO_REUSEPORT).
  bool reuse_port = false;
  limits connection;
  unsigned io_threads = 1;
  /// The requests that reach the handler before their body: see streamed_bodies.
  std::vector<std::string> stream_body;
  /// Storage for large bodies; null: the default directory.
  std::shared_ptr<temporary_files const> files;
  /// Is told of every exchange at its end; may be null.
  std::shared_ptr<observer> observes;
  /// The networks of the proxies that are trusted to name their clients; see ip_networks.
  std::vector<std::string> trusted_proxies;
  /// The header fields in which trusted proxies name them.
  forwarded_headers forwarded = forwarded_headers::x_forwarded;
  /// Whether clients may speak HTTP/2; see http2_maker.
  bool http2 = true;
  /// Certificates for the addresses that speak TLS.
  std::optional<tls_settings> tls;
  /// Time that a TLS handshake may take.
  clock::duration handshake_timeout = std::chrono::seconds(10);
};

}  // namespace kino::server
