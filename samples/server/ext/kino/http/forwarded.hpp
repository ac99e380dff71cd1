// SPDX-License-Identifier: MIT
//
// forwarded_origin: the client of a request, according to the proxies in front of the server.

#pragma once

#include "base/ip_address.hpp"
#include "base/options.hpp"
#include "http/endpoint.hpp"
#include "http/field_section.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace kino::server {

/// Which header fields of which proxies are believed.
struct forwarding_policy {
  forwarded_headers headers;
  ip_networks trusted;

  /// Whether any are.
  [[nodiscard]] bool decides() const { return headers != forwarded_headers::none && !trusted.empty(); }
};

/// A forwarded_origin reads X-Forwarded-For, -Proto, -Host and -Port, or Forwarded (RFC 7239).
///
/// Each proxy appends the address of its own client to the list, so the list is read from its end: an element counts if
/// everything behind it has been said by trusted proxies. The first address that is not trusted is the client; what is in front
/// of it, the client may have written itself. If all are trusted, the client is the first one; if one cannot be read, it is the
/// one behind it. Scheme, host and port are those of the element at which this ends; shorter lists count as if their
/// first element were repeated.
///
/// The peer of the connection decides whether the fields are read at all: if it is not trusted, it is the client.
///
/// Threads: one at a time; any number of readers after `read`.
/// Throws:  std::bad_alloc.
class forwarded_origin {
public:
  /// `peer` is that of the connection, and `secure` whether it is encrypted.
  void read(field_section const& fields, endpoint const& peer, bool secure, forwarding_policy const& policy);

  /// The client. Its port is empty if it is not known.
  [[nodiscard]] endpoint const& client() const { return client_; }
  /// Whether the client speaks HTTPS.
  [[nodiscard]] bool secure() const { return secure_; }
  /// What the application gets as the value of such a field: only what has been believed. Empty: it gets no such field. None:
  /// the field is as it was sent.
  [[nodiscard]] std::optional<std::string_view> shown(known_field field) const;

private:
  void read_x_forwarded(field_section const& fields, ip_networks const& trusted);
  void read_forwarded(field_section const& fields, ip_networks const& trusted);
  void use_scheme(std::string_view scheme);

  endpoint client_;
  bool secure_ = false;
  bool peer_trusted_ = false;
  forwarded_headers headers_ = forwarded_headers::none;
  std::string list_;  // of the addresses, from the client's on
  std::string host_, port_, scheme_;
};

}  // namespace kino::server
