// SPDX-License-Identifier: MIT

#include "http/upgrade.hpp"

#include "http/exchange.hpp"

namespace kino::server {

char const* upgrade_obstacle(exchange const& asked) {
  request const& head = asked.head();
  if (head.version == http_version::http_2) return "the request came over HTTP/2, which has no upgrades";
  if (head.version == http_version::http_1_0) return "the request came over HTTP/1.0, which has no upgrades";
  if (head.head_only()) return "the request is a HEAD request, whose response has no content";
  if (!head.asks_upgrade) return "the request does not ask for an upgrade (Connection: upgrade, and an Upgrade field)";
  return nullptr;
}

char const* takeover_obstacle(exchange const& asked) {
  if (asked.head().version == http_version::http_2) return "the request came over HTTP/2, which shares its connection";
  return body_upgrade_obstacle(asked);
}

char const* body_upgrade_obstacle(exchange const& asked) {
  if (asked.streamed()) return "the request's body is streamed (option stream_body) and may be incomplete";
  return nullptr;
}

}  // namespace kino::server
