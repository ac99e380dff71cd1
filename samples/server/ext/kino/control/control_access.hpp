// SPDX-License-Identifier: MIT
//
// Decides which requests the control plane answers.

#pragma once

#include "http/exchange.hpp"

#include <string>
#include <string_view>

namespace kino::server {

/// A control_access admits requests by their token and by where they seem to come from.
///
/// A program on this machine may use a loopback address without a token, and so could any page in this machine's browser.
/// Three rules keep pages out: a request that names an origin must name the control plane's own; without a token, its
/// Host must be a loopback address, which a name that an attacker has rebound to one is not; and what changes the server
/// needs a token, or a Unix socket, which no browser reaches.
///
/// Threads: any.  Blocks: never.
/// Errors:  none.
class control_access {
public:
  enum class verdict { admitted, no_token, wrong_token, foreign_host, foreign_origin, needs_token };

  /// `token`: empty if there is none.
  explicit control_access(std::string token) : token_(std::move(token)) {}

  /// Whether this request may read.
  [[nodiscard]] verdict may_read(exchange const& asked) const noexcept;
  /// Whether it may change something.
  [[nodiscard]] verdict may_act(exchange const& asked) const noexcept;

  /// The status and the sentence of a refusal.
  [[nodiscard]] static int status_of(verdict refused) noexcept;
  [[nodiscard]] static std::string_view sentence_of(verdict refused) noexcept;

private:
  [[nodiscard]] verdict check_token(request const& head) const noexcept;

  std::string const token_;
};

/// Whether both are equal, in a time that depends on the length of `given` alone.
[[nodiscard]] bool equal_in_constant_time(std::string_view given, std::string_view secret) noexcept;

/// Whether `host`, without a port, is localhost or a loopback address.
[[nodiscard]] bool is_loopback_name(std::string_view host) noexcept;

}  // namespace kino::server
