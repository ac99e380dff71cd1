// SPDX-License-Identifier: MIT
//
// The server's side of TLS: any bytes from the client, or those of a valid client of which some are changed. The server
// reads nothing that its peer did not write, and knows when the connection is over.

#include "support/target.hpp"

#include "../support/tls_wire.hpp"

#include <algorithm>

using namespace tls_test;

std::vector<std::string> fuzz::seeds() {
  std::vector<std::string> made;
  // The first byte: any bytes (even), or a valid client; the second: the version, and how much is carried at once.
  for (int const version : {0, 1}) {
    // Each two bytes change one: which of the next 256 bytes, and how.
    made.push_back({'\1', static_cast<char>(version), '\xff', '\0', '\xff', '\1', '\x10', '\x80'});
    client valid({.least = version ? TLS1_3_VERSION : TLS1_2_VERSION, .most = version ? TLS1_3_VERSION : TLS1_2_VERSION});
    valid.step();
    std::string const hello = valid.take_output();
    made.push_back(std::string("\0\x7e", 2) + hello);
    made.push_back(std::string("\0\3", 2) + hello + std::string("\x15\3\3\0\2\1\0", 7));
  }
  made.push_back(std::string("\0\0GET / HTTP/1.1\r\n\r\n", 20));
  return made;
}

void fuzz::run_one(std::string_view bytes) {
  fuzz::input from(bytes);
  bool const valid = from.byte() % 2 != 0;
  std::uint8_t const how = from.byte();
  int const version = how % 2 != 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
  wire here({.least = version, .most = version});
  here.carried_at_once = 1 + 16U * (how / 2);
  here.speaks_tls = valid;
  std::string const written(100, 'w');
  if (valid) {
    here.tamper = [&from, left = std::size_t{from.byte()}](std::string& output) mutable {
      std::size_t at = 0;
      while (output.size() - at > left && !from.empty()) {
        at += left;
        output[at] = static_cast<char>(output[at] ^ from.byte());
        left = from.byte();
      }
      left -= std::min(left, output.size() - at);
    };
  } else {
    here.raw(from.rest());
  }
  for (int idle = 0, turns = 0; idle < 3; ++turns) {
    REQUIRE(turns < 100'000);
    if (valid && turns == 20 && here.peer.established() && !here.peer.failed()) here.peer.write(written);
    idle = here.turn() ? 0 : idle + 1;
  }
  here.end();
  for (int idle = 0, turns = 0; idle < 3; ++turns) {
    REQUIRE(turns < 100'000);
    idle = here.turn() ? 0 : idle + 1;
  }
  REQUIRE(here.over.has_value());
  REQUIRE(here.result.calls == 1);
  REQUIRE(written.starts_with(here.received));
}
