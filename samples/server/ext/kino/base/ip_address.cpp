// SPDX-License-Identifier: MIT

#include "base/ip_address.hpp"

#include "base/parse_number.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cstddef>
#include <cstring>
#include <stdexcept>

namespace kino::server {

namespace {

constexpr std::array<std::uint8_t, 12> mapped_v4{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

constexpr std::string_view loopback[] = {"127.0.0.0/8", "::1"};
constexpr std::string_view private_networks[] = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"};

bool same_prefix(std::array<std::uint8_t, 16> const& one, std::array<std::uint8_t, 16> const& other, unsigned bits) {
  std::size_t const whole = bits / 8;
  if (std::memcmp(one.data(), other.data(), whole) != 0) return false;
  unsigned const rest = bits % 8;
  return rest == 0 || ((one[whole] ^ other[whole]) >> (8 - rest)) == 0;
}

}  // namespace

std::optional<ip_address> ip_address::parse(std::string_view text) noexcept {
  char copy[INET6_ADDRSTRLEN] = "";
  // Some systems' inet_pton takes a zone, too.
  if (text.size() >= sizeof copy || text.find_first_of(std::string_view("\0%", 2)) != text.npos) return std::nullopt;
  text.copy(copy, text.size());
  std::uint8_t bytes[16];
  if (::inet_pton(AF_INET, copy, bytes) == 1) return v4(bytes);
  if (::inet_pton(AF_INET6, copy, bytes) == 1) return v6(bytes);
  return std::nullopt;
}

ip_address ip_address::v4(std::uint8_t const* four) noexcept {
  ip_address made;
  std::copy(mapped_v4.begin(), mapped_v4.end(), made.bytes_.begin());
  std::copy(four, four + 4, made.bytes_.begin() + mapped_v4.size());
  return made;
}

ip_address ip_address::v6(std::uint8_t const* sixteen) noexcept {
  ip_address made;
  std::copy(sixteen, sixteen + 16, made.bytes_.begin());
  return made;
}

bool ip_address::is_v4() const noexcept { return std::equal(mapped_v4.begin(), mapped_v4.end(), bytes_.begin()); }

std::string ip_address::text() const {
  char text[INET6_ADDRSTRLEN] = "";
  bool const four = is_v4();
  ::inet_ntop(four ? AF_INET : AF_INET6, bytes_.data() + (four ? mapped_v4.size() : 0), text, sizeof text);
  return text;
}

ip_networks::ip_networks(std::vector<std::string> const& names) {
  for (std::string const& name : names) {
    if (name == "loopback") {
      for (std::string_view const one : loopback) add(one);
    } else if (name == "private") {
      for (std::string_view const one : private_networks) add(one);
    } else {
      add(name);
    }
  }
}

void ip_networks::add(std::string_view cidr) {
  std::size_t const slash = std::min(cidr.find('/'), cidr.size());
  std::optional<ip_address> const address = ip_address::parse(cidr.substr(0, slash));
  bool const four = address && address->is_v4() && cidr.find(':') == cidr.npos;
  unsigned const most = four ? 32 : 128;
  auto const prefix = slash == cidr.size() ? most : parse_number<unsigned>(cidr.substr(slash + 1));
  if (!address || !prefix || *prefix > most) {
    throw std::invalid_argument("kino: " + std::string(cidr) + " is no address and no network in CIDR notation");
  }
  networks_.push_back({*address, four ? *prefix + 96 : *prefix});
}

bool ip_networks::contain(ip_address const& address) const noexcept {
  return std::any_of(networks_.begin(), networks_.end(), [&](network const& one) {
    return same_prefix(one.address.bytes(), address.bytes(), one.prefix);
  });
}

bool ip_networks::contain(std::string_view address) const noexcept {
  std::optional<ip_address> const parsed = ip_address::parse(address);
  return parsed && contain(*parsed);
}

}  // namespace kino::server
