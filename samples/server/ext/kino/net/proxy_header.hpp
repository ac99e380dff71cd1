// SPDX-License-Identifier: MIT
//
// proxy_header: reads the header of the PROXY protocol, in which a proxy names the client whose connection it forwards.

#pragma once

#include "http/endpoint.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace kino::server {

/// A proxy_header takes the header in front of a connection's first bytes, in version 1 (text) or 2 (binary) of HAProxy's PROXY
/// protocol. It may arrive in pieces.
///
/// It is strict: what the specification does not allow is invalid. The extensions of version 2 (TLVs) are skipped. Addresses
/// of other families than IPv4 and IPv6, and datagrams, tell nothing of a client on a stream; the connection then counts as
/// the proxy's own, as it does with UNKNOWN and LOCAL.
///
/// Threads: one at a time.
class proxy_header {
public:
  enum class state { incomplete, complete, invalid };
  struct result {
    state what;
    std::size_t taken;  ///< Of the given bytes; no byte behind the header.
  };

  /// Takes bytes; not called again once it is complete or invalid. Does not throw.
  [[nodiscard]] result read(std::string_view bytes) noexcept;
  /// The client that a complete header names; none: the connection is the proxy's own. Throws std::bad_alloc.
  [[nodiscard]] std::optional<endpoint> client() const;
  /// What is wrong with an invalid one.
  [[nodiscard]] char const* why() const { return why_; }

private:
  enum class phase { beginning, line, head, addresses, rest, done };

  [[nodiscard]] state take(char byte) noexcept;
  [[nodiscard]] state begin() noexcept;
  [[nodiscard]] state end_line(std::string_view line) noexcept;
  [[nodiscard]] state end_head() noexcept;
  [[nodiscard]] state skip_rest() noexcept;
  [[nodiscard]] state invalid(char const* why) noexcept;

  // A line of version 1 with its end; more than the addresses of version 2 take that are looked at.
  std::array<char, 107> bytes_;
  std::size_t length_ = 0;
  phase phase_ = phase::beginning;
  std::size_t awaited_ = 0;  // version 2: bytes of the header still to come
  std::size_t address_length_ = 0;  // version 2: 4 or 16; 0: the header names no client
  bool text_client_ = false;        // version 1 names one
  char const* why_ = "";
};

}  // namespace kino::server
