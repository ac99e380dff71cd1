// SPDX-License-Identifier: MIT
//
// proxy_acceptor: receives the PROXY protocol header of connections that proxies open.

#pragma once

#include "base/options.hpp"
#include "base/transport.hpp"
#include "http/endpoint.hpp"

#include <memory>

namespace kino::server {

class http_server;
class io_thread;

/// A proxy_acceptor waits for the header of each connection that a trusted proxy has opened, and gives the connection to the
/// http_server with the client that the header names. TLS, if any, begins behind the header.
///
/// It takes no byte behind the header. A connection whose header is invalid, or does not arrive in time, ends with a line in
/// the log, and without TLS with 400.
///
/// Threads: `home`, except for the constructor; the destructor: any, once nothing is awaited.
/// Lifetime: `close` before `home` is stopped.
class proxy_acceptor {
public:
  /// `timeout`: for the whole header.
  proxy_acceptor(http_server& http, io_thread& home, clock::duration timeout)
      : http_(http), home_(home), timeout_(timeout) {}
  proxy_acceptor(proxy_acceptor const&) = delete;
  ~proxy_acceptor();

  /// Takes over a connection over a plain socket that the http_server has admitted, and which counts as live from now on. `local`
  /// outlives it. If this throws, it is closed, and the admission is still the caller's.
  void accept(std::unique_ptr<transport> client, endpoint peer, endpoint const& local);
  /// From now on, headers must arrive within tuning::drain_grace.
  void drain() noexcept;
  /// Closes what still waits.
  void close() noexcept;

private:
  class reception;

  http_server& http_;
  io_thread& home_;
  clock::duration const timeout_;
  reception* first_ = nullptr;
};

}  // namespace kino::server
