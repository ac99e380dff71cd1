// SPDX-License-Identifier: MIT

#include "net/proxy_header.hpp"

#include "base/ip_address.hpp"
#include "base/parse_number.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

namespace kino::server {

namespace {

constexpr std::string_view v1_start = "PROXY ";
constexpr char v2_bytes[]{'\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};
constexpr std::string_view v2_start(v2_bytes, sizeof v2_bytes);
constexpr std::size_t v2_head = 16;

// Splits at the first space.
std::string_view next_word(std::string_view& line) {
  std::size_t const space = std::min(line.find(' '), line.size());
  std::string_view const word = line.substr(0, space);
  line.remove_prefix(std::min(space + 1, line.size()));
  return word;
}

bool is_port(std::string_view text) {
  return parse_number<std::uint16_t>(text) && (text.size() == 1 || text.front() != '0');
}

bool is_address(std::string_view text, bool six) {
  return (text.find(':') != text.npos) == six && ip_address::parse(text).has_value();
}

std::uint8_t octet(char byte) { return static_cast<std::uint8_t>(byte); }

}  // namespace

proxy_header::result proxy_header::read(std::string_view bytes) noexcept {
  std::size_t taken = 0;
  state what = state::incomplete;
  while (taken < bytes.size() && what == state::incomplete) {
    if (phase_ == phase::rest) {
      std::size_t const skipped = std::min(awaited_, bytes.size() - taken);
      taken += skipped;
      awaited_ -= skipped;
      what = skip_rest();
    } else {
      what = take(bytes[taken++]);
    }
  }
  return {what, taken};
}

proxy_header::state proxy_header::take(char byte) noexcept {
  bytes_[length_++] = byte;
  switch (phase_) {
    case phase::beginning: return begin();
    case phase::line: {
      std::string_view const line(bytes_.data(), length_);
      bool const after_return = line[length_ - 2] == '\r';
      if (after_return && byte == '\n') return end_line(line.substr(0, length_ - 2));
      if (after_return || (byte != '\r' && (byte < ' ' || byte > '~'))) return invalid("it has a byte that is not text");
      return length_ == bytes_.size() ? invalid("its line is longer than 107 bytes") : state::incomplete;
    }
    case phase::head: return length_ == v2_head ? end_head() : state::incomplete;
    case phase::addresses: {
      --awaited_;
      return length_ == v2_head + 2 * address_length_ + 4 ? skip_rest() : state::incomplete;
    }
    case phase::rest:
    case phase::done: break;
  }
  return invalid("it is complete");
}

proxy_header::state proxy_header::begin() noexcept {
  std::string_view const seen(bytes_.data(), length_);
  if (seen == v1_start) phase_ = phase::line;
  if (seen == v2_start) phase_ = phase::head;
  if (v1_start.starts_with(seen) || v2_start.starts_with(seen)) return state::incomplete;
  return invalid("the connection does not begin with one");
}

proxy_header::state proxy_header::end_line(std::string_view line) noexcept {
  line.remove_prefix(v1_start.size());
  phase_ = phase::done;
  std::string_view const family = next_word(line);
  if (family == "UNKNOWN") return state::complete;  // What follows does not matter.
  if (family != "TCP4" && family != "TCP6") return invalid("its family is not TCP4, TCP6 or UNKNOWN");
  bool const six = family == "TCP6";
  for (int i = 0; i < 2; ++i) {
    if (!is_address(next_word(line), six)) return invalid("it has an invalid address");
  }
  std::string_view const source_port = next_word(line);
  // Not next_word: nothing may follow.
  if (!is_port(source_port) || !is_port(line)) return invalid("it has an invalid port");
  text_client_ = true;
  return state::complete;
}

proxy_header::state proxy_header::end_head() noexcept {
  unsigned const version = octet(bytes_[12]) >> 4;
  unsigned const command = octet(bytes_[12]) & 15;
  unsigned const family = octet(bytes_[13]) >> 4;
  unsigned const kind = octet(bytes_[13]) & 15;
  awaited_ = static_cast<std::size_t>(octet(bytes_[14])) << 8 | octet(bytes_[15]);
  if (version != 2) return invalid("its version is neither 1 nor 2");
  if (command > 1) return invalid("its command is neither LOCAL nor PROXY");
  if (family > 3 || kind > 2) return invalid("its family or transport is unknown");
  if (command == 0) return skip_rest();
  // By family: none, two addresses and ports of IPv4, of IPv6, and two paths.
  constexpr std::size_t needed[] = {0, 12, 36, 216};
  if (awaited_ < needed[family]) return invalid("it is too short for its addresses");
  constexpr unsigned stream = 1;
  if (kind != stream || family == 0 || family == 3) return skip_rest();
  address_length_ = family == 1 ? 4 : 16;
  phase_ = phase::addresses;
  return state::incomplete;
}

proxy_header::state proxy_header::skip_rest() noexcept {
  phase_ = awaited_ == 0 ? phase::done : phase::rest;
  return awaited_ == 0 ? state::complete : state::incomplete;
}

proxy_header::state proxy_header::invalid(char const* why) noexcept {
  phase_ = phase::done;
  why_ = why;
  return state::invalid;
}

std::optional<endpoint> proxy_header::client() const {
  if (text_client_) {
    std::string_view line(bytes_.data() + v1_start.size(), length_ - v1_start.size() - 2);
    next_word(line);
    std::string_view const address = next_word(line);
    next_word(line);
    return endpoint{ip_address::parse(address)->text(), std::string(next_word(line))};
  }
  if (address_length_ == 0) return std::nullopt;
  std::uint8_t address[16];
  std::transform(bytes_.begin() + v2_head, bytes_.begin() + v2_head + address_length_, address, octet);
  std::size_t const at = v2_head + 2 * address_length_;
  int const port = octet(bytes_[at]) << 8 | octet(bytes_[at + 1]);
  return endpoint{(address_length_ == 4 ? ip_address::v4(address) : ip_address::v6(address)).text(), std::to_string(port)};
}

}  // namespace kino::server
