// SPDX-License-Identifier: MIT
//
// Any bytes as the header of the PROXY protocol. However they are cut into pieces, they mean the same, and a client that they
// name has an address and a port.

#include "support/target.hpp"

#include "net/proxy_header.hpp"

#include <arpa/inet.h>
#include <cstdlib>
#include <optional>
#include <tuple>

namespace server = kino::server;
using state = server::proxy_header::state;

namespace {

// What the header is, its length if it is complete, and the client.
using meaning = std::tuple<state, std::size_t, std::string>;

meaning read(std::string_view bytes, std::size_t step) {
  server::proxy_header header;
  state what = state::incomplete;
  std::size_t taken = 0;
  fuzz::in_pieces(bytes, step, [&](std::string_view piece) {
    if (what != state::incomplete) return;
    auto const got = header.read(piece);
    what = got.what;
    taken += got.taken;
    REQUIRE(got.taken <= piece.size());
    if (what == state::incomplete) REQUIRE(got.taken == piece.size());
  });
  if (what != state::complete) return {what, 0, header.why()};
  std::optional<server::endpoint> const client = header.client();
  if (!client) return {what, taken, ""};
  char address[16];
  REQUIRE((inet_pton(AF_INET, client->address.c_str(), address) == 1 || inet_pton(AF_INET6, client->address.c_str(), address) == 1));
  REQUIRE(std::to_string(std::strtoul(client->port.c_str(), nullptr, 10)) == client->port);
  REQUIRE(std::strtoul(client->port.c_str(), nullptr, 10) <= 65535);
  return {what, taken, client->address + " " + client->port};
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  std::string const signature("\r\n\r\n\0\r\nQUIT\n", 12);
  std::string const four("\xc0\x00\x02\x01\xc6\x33\x64\x02\xdd\xd5\x01\xbb", 12);
  // The first byte: the size of a piece.
  return {"\1PROXY TCP4 192.0.2.1 198.51.100.2 56789 443\r\nGET / HTTP/1.1\r\n\r\n",
          "\2PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 80 443\r\n",
          "\3PROXY UNKNOWN what may be here\r\n",
          "\4" + signature + std::string("\x21\x11\0\x0c", 4) + four + "GET",
          "\5" + signature + std::string("\x21\x11\0\x12", 4) + four + std::string("\4\0\3xyz", 6),
          "\6" + signature + std::string("\x21\x21\0\x24", 4) + std::string(36, '\1'),
          "\7" + signature + std::string("\x20\0\0\0", 4)};
}

void fuzz::run_one(std::string_view bytes) {
  fuzz::input from(bytes);
  std::size_t const step = 1 + from.byte() % 16U;
  REQUIRE((read(from.rest(), SIZE_MAX) == read(from.rest(), step)));
}
