// SPDX-License-Identifier: MIT
//
// tls_acceptor: makes encrypted connections of accepted ones.

#pragma once

#include "base/deadline.hpp"
#include "base/options.hpp"
#include "base/transport.hpp"
#include "http/endpoint.hpp"
#include "net/handshake_deadline.hpp"
#include "tls/tls_library.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kino::server {

/// What became of handshakes so far.
struct tls_statistics {
  std::uint64_t handshakes = 0;  ///< complete ones
  std::uint64_t resumed = 0;     ///< of these
  std::uint64_t timed_out = 0;
  std::array<std::uint64_t, tls::failures> failed{};  ///< by tls::failure
};

/// What statistics call them.
inline constexpr std::pair<tls::failure, std::string_view> tls_failure_names[] = {{tls::failure::plain_http, "plain_http"},
                                                                                  {tls::failure::left, "client_left"},
                                                                                  {tls::failure::certificate, "certificate"},
                                                                                  {tls::failure::mismatch, "mismatch"},
                                                                                  {tls::failure::malformed, "malformed"}};

/// A tls_acceptor has the certificates of a server and wraps the connections that its listeners accept.
///
/// It counts handshakes, logs why they fail, ends those that take too long, and changes the key of session tickets
/// every hour.
///
/// Threads: `accept` and `stop`: the thread of `alarms`; all else: any.
/// Lifetime: destroyed before `alarms`, and stopped before that; its connections may outlive it.
class tls_acceptor {
public:
  /// Loads kino_tls. Throws std::runtime_error if there is none, and std::invalid_argument if a certificate cannot
  /// be used; both have a sentence for users.
  /// `protocols`: the names of what clients may speak (ALPN), the best first.
  tls_acceptor(deadline_queue& alarms, tls_settings const& settings, clock::duration handshake_timeout,
               std::vector<std::string> protocols);
  tls_acceptor(tls_acceptor const&) = delete;
  ~tls_acceptor();

  /// The encrypted connection over `client`. Its certificate will be in `peer.certificate` if clients are asked for
  /// one. Throws std::bad_alloc; then `client` is closed.
  [[nodiscard]] std::unique_ptr<transport> accept(std::unique_ptr<transport> client, endpoint& peer);
  /// Uses these settings for new connections. Throws like the constructor; then nothing has changed.
  void renew(tls_settings const& settings);
  /// Ends no more handshakes that take too long.
  void stop() noexcept { deadline_.stop(); }

  [[nodiscard]] tls_statistics statistics() const;

private:
  struct counters;
  class handshake;

  void rotate_ticket_keys();

  std::vector<std::string> const protocols_;
  std::shared_ptr<counters> const counters_;
  handshake_deadline deadline_;
  tls::ticket_keys_ptr ticket_keys_;
  clock::time_point rotated_at_;
  std::mutex mutex_;
  tls::context_ptr context_;  // guarded by the mutex, as is the next one
  bool asks_clients_ = false;
};

}  // namespace kino::server
