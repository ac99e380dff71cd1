// SPDX-License-Identifier: MIT

#include "control/control_access.hpp"

#include "http/field_list.hpp"

#include <algorithm>

namespace kino::server {

namespace {

constexpr std::string_view scheme = "bearer ";

// Whether the origin, "http://HOST:PORT" or "null", is that of the request's own host.
bool own_origin(std::string_view origin, std::string_view host) {
  std::size_t const at = origin.find("://");
  return at != origin.npos && !host.empty() && equal_ignoring_case(origin.substr(at + 3), host);
}

// Browsers send Origin with everything but simple reads, and Sec-Fetch-Site with all requests.
bool from_another_site(request const& head) {
  if (auto const* origin = head.fields().find("origin"); origin && !own_origin(head.fields().value(*origin), head.host())) return true;
  auto const* site = head.fields().find("sec-fetch-site");
  return site && equal_ignoring_case(head.fields().value(*site), "cross-site");
}

// The port of a Unix socket is empty.
bool over_unix_socket(exchange const& asked) { return asked.peer().port.empty(); }

}  // namespace

bool equal_in_constant_time(std::string_view given, std::string_view secret) noexcept {
  // volatile: or the loop could end with the first difference.
  unsigned char volatile difference = given.size() != secret.size();
  for (std::size_t i = 0; i != given.size(); ++i) {
    char const expected = secret.empty() ? '\0' : secret[i % secret.size()];
    difference = static_cast<unsigned char>(difference | (given[i] ^ expected));
  }
  return difference == 0;
}

bool is_loopback_name(std::string_view host) noexcept {
  if (equal_ignoring_case(host, "localhost") || host == "[::1]") return true;
  if (!host.starts_with("127.")) return false;
  // A name such as 127.0.0.1.example can belong to any machine.
  return host.find_first_not_of("0123456789.") == host.npos;
}

control_access::verdict control_access::check_token(request const& head) const noexcept {
  auto const* const field = head.fields().find("authorization");
  if (!field) return verdict::no_token;
  std::string_view const value = head.fields().value(*field);
  if (!equal_ignoring_case(value.substr(0, scheme.size()), scheme)) return verdict::no_token;
  std::string_view given = value.substr(scheme.size());
  given.remove_prefix(std::min(given.find_first_not_of(' '), given.size()));
  return equal_in_constant_time(given, token_) ? verdict::admitted : verdict::wrong_token;
}

control_access::verdict control_access::may_read(exchange const& asked) const noexcept {
  request const& head = asked.head();
  if (from_another_site(head)) return verdict::foreign_origin;
  if (!token_.empty()) return check_token(head);
  if (over_unix_socket(asked) || is_loopback_name(head.host_name())) return verdict::admitted;
  return verdict::foreign_host;
}

control_access::verdict control_access::may_act(exchange const& asked) const noexcept {
  verdict const read = may_read(asked);
  if (read != verdict::admitted || !token_.empty() || over_unix_socket(asked)) return read;
  return verdict::needs_token;
}

int control_access::status_of(verdict refused) noexcept {
  return refused == verdict::no_token || refused == verdict::wrong_token ? 401 : 403;
}

std::string_view control_access::sentence_of(verdict refused) noexcept {
  switch (refused) {
    case verdict::no_token:
      return "send the control_token as a header, Authorization: Bearer TOKEN; a URL would show it in logs and histories\n";
    case verdict::wrong_token: return "this is not the control_token of this server\n";
    case verdict::foreign_host:
      return "without a control_token, the control plane answers only for localhost and loopback addresses in the Host field\n";
    case verdict::foreign_origin: return "the control plane answers no pages of other sites\n";
    case verdict::needs_token:
      return "this changes the server: set control_token, or let control_bind be a Unix socket\n";
    case verdict::admitted: break;
  }
  return {};
}

}  // namespace kino::server
