// SPDX-License-Identifier: MIT
//
// ip_address and ip_networks: addresses of IPv4 and IPv6, and whether networks contain them.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kino::server {

/// An ip_address is an address of IPv4 or IPv6. One of IPv4 that is written as IPv6 (::ffff:192.0.2.1) is the one of IPv4.
///
/// Threads: a value.
class ip_address {
public:
  /// Parses 192.0.2.1 or 2001:db8::1, and nothing else: no port, brackets, zone, leading zeros or spaces.
  [[nodiscard]] static std::optional<ip_address> parse(std::string_view text) noexcept;
  /// The address of these bytes, in network order.
  [[nodiscard]] static ip_address v4(std::uint8_t const* four) noexcept;
  [[nodiscard]] static ip_address v6(std::uint8_t const* sixteen) noexcept;

  [[nodiscard]] bool is_v4() const noexcept;
  /// As text, in the form of RFC 5952. Throws std::bad_alloc.
  [[nodiscard]] std::string text() const;
  /// Its bytes; those of IPv4 as the last four behind ::ffff.
  [[nodiscard]] std::array<std::uint8_t, 16> const& bytes() const noexcept { return bytes_; }

  friend bool operator==(ip_address const&, ip_address const&) = default;

private:
  std::array<std::uint8_t, 16> bytes_{};
};

/// ip_networks is a set of networks in CIDR notation.
///
/// Threads: any number of readers.
class ip_networks {
public:
  ip_networks() = default;
  /// Each of `names` is an address; or an address, a slash and the length of the prefix, where bits behind the prefix do not
  /// matter; or "loopback"; or "private", the networks that are not routed on the Internet (RFC 1918, RFC 4193).
  /// Throws std::invalid_argument with the one that is none of these.
  explicit ip_networks(std::vector<std::string> const& names);

  [[nodiscard]] bool empty() const noexcept { return networks_.empty(); }
  [[nodiscard]] bool contain(ip_address const& address) const noexcept;
  /// Likewise; false for what is no address.
  [[nodiscard]] bool contain(std::string_view address) const noexcept;

private:
  void add(std::string_view cidr);

  struct network {
    ip_address address;
    unsigned prefix;  // of 128 bits
  };

  std::vector<network> networks_;
};

}  // namespace kino::server
