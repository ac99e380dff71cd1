// SPDX-License-Identifier: MIT

#include "http/forwarded.hpp"

#include "base/parse_number.hpp"
#include "http/authority.hpp"
#include "http/field_list.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace kino::server {

namespace {

// The value of all fields of this name.
std::string value_of(field_section const& fields, known_field name) {
  std::string joined;
  if (auto const* const first = fields.find(name)) {
    joined.resize(fields.joined_size(*first));
    fields.copy_joined(*first, joined.data());
  }
  return joined;
}

// The elements of a comma-separated list, the last one first. Empty ones are skipped (RFC 9110, 5.6.1). From the end, the
// beginning of the list, which a client may have written, cannot change what its last elements are.
class elements_from_end {
public:
  // `quotes`: whether an element may have quoted strings.
  elements_from_end(std::string_view list, bool quotes) : list_(list), end_(list.size()), quotes_(quotes) {}

  // Moves on; false if there is none, or if a quoted string has no beginning.
  [[nodiscard]] bool next() {
    while (end_ != std::string_view::npos) {
      auto const start = start_of_last();
      if (!start) return false;
      element_ = trimmed(list_.substr(*start, end_ - *start));
      end_ = *start == 0 ? std::string_view::npos : *start - 1;
      if (!element_.empty()) return true;
    }
    return false;
  }
  [[nodiscard]] std::string_view element() const { return element_; }
  // Its place in the list.
  [[nodiscard]] std::size_t start() const { return static_cast<std::size_t>(element_.data() - list_.data()); }

private:
  [[nodiscard]] std::optional<std::size_t> start_of_last() const {
    for (std::size_t at = end_; at != 0; --at) {
      char const c = list_[at - 1];
      if (c == ',') return at;
      if (c != '"' || !quotes_) continue;
      auto const opening = opening_quote(at - 1);
      if (!opening) return std::nullopt;
      at = *opening + 1;
    }
    return 0;
  }

  // The quote that begins the string which the one at `closing` ends.
  [[nodiscard]] std::optional<std::size_t> opening_quote(std::size_t closing) const {
    for (std::size_t at = closing; at-- != 0;) {
      if (list_[at] != '"') continue;
      std::size_t backslashes = 0;
      while (backslashes < at && list_[at - 1 - backslashes] == '\\') ++backslashes;
      if (backslashes % 2 == 0) return at;
    }
    return std::nullopt;
  }

  std::string_view list_;
  std::size_t end_;  // of what has not been seen; npos: all has
  std::string_view element_;
  bool quotes_;
};

// The element at `distance` from the end, or the first one if there are fewer.
std::string_view element_at(std::string_view list, std::size_t distance) {
  elements_from_end each(list, false);
  std::string_view found;
  for (std::size_t i = 0; i <= distance && each.next(); ++i) found = each.element();
  return found;
}

struct node {
  ip_address address;
  std::string_view port;
};

bool is_port(std::string_view text) { return parse_number<std::uint16_t>(text).has_value(); }

// 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1] or [2001:db8::1]:80.
std::optional<node> parse_node(std::string_view text) {
  std::string_view port;
  std::string_view address = text;
  if (text.starts_with('[')) {
    std::size_t const end = text.find(']');
    if (end == text.npos) return std::nullopt;
    address = text.substr(1, end - 1);
    port = text.substr(end + 1);
    if (!port.empty() && port.front() != ':') return std::nullopt;
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    address = text.substr(0, text.find(':'));
    port = text.substr(text.find(':'));
  }
  auto const parsed = ip_address::parse(address);
  if (!parsed) return std::nullopt;
  if (!port.empty()) port.remove_prefix(1);
  return node{*parsed, is_port(port) ? port : std::string_view()};
}

// One element of Forwarded; the values are views into it.
struct forwarded_element {
  std::string_view address;
  std::string_view scheme;

  // None if it is malformed.
  static std::optional<forwarded_element> parse(std::string_view text) {
    forwarded_element made;
    while (!text.empty()) {
      std::size_t const equals = text.find('=');
      if (equals == text.npos) return std::nullopt;
      std::string_view const name = trimmed(text.substr(0, equals));
      text.remove_prefix(equals + 1);
      auto const value = take_value(text);
      if (!value) return std::nullopt;
      std::string_view* const place = equal_ignoring_case(name, "for")     ? &made.address
                                      : equal_ignoring_case(name, "proto") ? &made.scheme
                                                                           : nullptr;
      if (place && !place->empty()) return std::nullopt;
      if (place) *place = *value;
    }
    return made;
  }

private:
  // Takes a value and the semicolon behind it.
  static std::optional<std::string_view> take_value(std::string_view& text) {
    std::string_view value;
    if (text.starts_with('"')) {
      std::size_t end = 1;
      while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      if (end >= text.size()) return std::nullopt;
      value = text.substr(1, end - 1);
      text = trimmed(text.substr(end + 1));
      if (!text.empty() && text.front() != ';') return std::nullopt;
    } else {
      std::size_t const end = std::min(text.find(';'), text.size());
      value = trimmed(text.substr(0, end));
      text.remove_prefix(end);
    }
    if (!text.empty()) text.remove_prefix(1);
    return value;
  }
};

}  // namespace

void forwarded_origin::read(field_section const& fields, endpoint const& peer, bool secure, forwarding_policy const& policy) {
  client_ = peer;
  secure_ = secure;
  peer_trusted_ = peer.trusted;
  headers_ = policy.headers;
  list_.clear();
  host_.clear();
  port_.clear();
  scheme_.clear();
  if (!peer_trusted_) return;
  headers_ == forwarded_headers::forwarded ? read_forwarded(fields, policy.trusted) : read_x_forwarded(fields, policy.trusted);
}

void forwarded_origin::read_x_forwarded(field_section const& fields, ip_networks const& trusted) {
  std::string const list = value_of(fields, known_field::x_forwarded_for);
  std::size_t start = list.size();
  std::size_t distance = 0;
  elements_from_end each(list, false);
  for (std::size_t i = 0; each.next(); ++i) {
    distance = i;
    auto const found = parse_node(each.element());
    if (!found) break;
    start = each.start();
    client_.address = found->address.text();
    client_.port = found->port;
    if (!trusted.contain(found->address)) break;
  }
  list_ = trimmed(std::string_view(list).substr(start));
  use_scheme(element_at(value_of(fields, known_field::x_forwarded_proto), distance));
  std::string const hosts = value_of(fields, known_field::x_forwarded_host);
  std::string_view const host = element_at(hosts, distance);
  if (authority::parse(host)) host_ = host;
  std::string const ports = value_of(fields, known_field::x_forwarded_port);
  std::string_view const port = element_at(ports, distance);
  if (is_port(port)) port_ = port;
}

void forwarded_origin::read_forwarded(field_section const& fields, ip_networks const& trusted) {
  std::string const list = value_of(fields, known_field::forwarded);
  std::size_t start = list.size();
  elements_from_end each(list, true);
  while (each.next()) {
    auto const element = forwarded_element::parse(each.element());
    if (!element) break;
    start = each.start();
    if (!element->scheme.empty()) use_scheme(element->scheme);
    auto const found = parse_node(element->address);
    if (!found) break;
    client_.address = found->address.text();
    client_.port = found->port;
    if (!trusted.contain(found->address)) break;
  }
  list_ = trimmed(std::string_view(list).substr(start));
}

void forwarded_origin::use_scheme(std::string_view scheme) {
  for (std::string_view const known : {"http", "https"}) {
    if (!equal_ignoring_case(scheme, known)) continue;
    scheme_ = known;
    secure_ = known == "https";
  }
}

std::optional<std::string_view> forwarded_origin::shown(known_field field) const {
  bool const x = headers_ == forwarded_headers::x_forwarded;
  switch (field) {
    case known_field::forwarded: return x ? std::string_view() : std::string_view(list_);
    case known_field::x_forwarded_for: return x ? std::string_view(list_) : std::string_view();
    case known_field::x_forwarded_host: return host_;
    case known_field::x_forwarded_port: return port_;
    case known_field::x_forwarded_proto: return x ? std::string_view(scheme_) : std::string_view();
    case known_field::x_forwarded_scheme: return std::string_view();
    case known_field::forwarding:
      if (!peer_trusted_) return std::string_view();
      return std::nullopt;
    default: return std::nullopt;
  }
}

}  // namespace kino::server
