// SPDX-License-Identifier: MIT
//
// One side of a connection, as text.

#pragma once

#include <memory>
#include <string>

namespace kino::server {

/// The certificate that a client has presented, which is valid; both empty: it has presented none.
struct client_certificate {
  std::string pem;
  std::string subject;  ///< its distinguished name (RFC 2253)
};

/// An endpoint is one side of a connection, in the form of a Rack environment. The port of a Unix
/// socket is empty.
struct endpoint {
  std::string address;
  std::string port;
  /// Of the server's side: whether the connection is encrypted.
  bool secure = false;
  /// Of the server's side: whether connections of trusted proxies begin with a header of the PROXY protocol.
  bool proxy_protocol = false;
  /// Of the client's side: whether it is a proxy that is trusted to name its own clients; see options::trusted_proxies.
  bool trusted = false;
  /// Of the client's side: what is known of it once the first request has been read; null if clients are not asked.
  std::shared_ptr<client_certificate const> certificate = nullptr;
};

}  // namespace kino::server
