// SPDX-License-Identifier: MIT
//
// Any frames, or any bytes, as the client of a WebSocket. However they are cut into pieces, the application gets the same
// events, the last of which is the end; the server sends valid frames; and nothing is left of the connection.

#include "support/target.hpp"

#include "../support/deflate.hpp"
#include "../support/websocket_talk.hpp"

using namespace websocket_test;

namespace {

std::string outcome(std::string_view bytes, std::size_t step, bool compression) {
  talk_setup chosen;
  if (compression) chosen.settings.speaks = server::dialect::deflated;
  chosen.settings.max_message_size = 2000;
  chosen.settings.most_unhandled = 500;
  talk here(std::move(chosen));
  std::string seen;
  auto const echo = [&](server::websocket_event const& one) {
    REQUIRE(one.data.size() <= 2000);
    static_cast<void>(here.socket->write(server::opcode::binary, one.data));
  };
  auto const handle = [&] { seen += here.events(echo); };
  fuzz::in_pieces(bytes, step, [&](std::string_view piece) {
    here.send(piece);
    handle();
  });
  here.link->end();
  handle();
  REQUIRE(here.sees_end());
  REQUIRE(here.http.connections() == 0);
  handle();
  while (auto const one = take_frame(here.arrived, compression)) {
    REQUIRE(one->opcode != -2);
    if (one->compressed) static_cast<void>(inflated(one->payload));
  }
  REQUIRE(here.arrived.empty());
  REQUIRE(seen.starts_with("o"));
  REQUIRE(seen.ends_with("c"));
  return seen;
}

// One frame: its first byte, whether it is masked and how long its length is, and its payload.
std::string packed(int opcode, bool last, std::uint8_t form, std::string_view payload) {
  std::string made{static_cast<char>((last ? 0x80 : 0) | opcode), static_cast<char>(form), static_cast<char>(payload.size())};
  return made.append(payload);
}

// Likewise, which is said to be compressed.
std::string squeezed(int opcode, bool last, std::uint8_t form, std::string_view payload) {
  return packed(opcode | 0x40, last, form, payload);
}

std::string next_frame(fuzz::input& from) {
  std::uint8_t const first = from.byte();
  std::uint8_t const how = from.byte();
  form chosen{.last = (first & 0x80) != 0, .masked = how % 16 != 15, .reserved = (first >> 4U) & 7U};
  if (how / 16 == 1) chosen.width = 2;
  if (how / 16 == 2) chosen.width = 8;
  std::string_view payload = from.bytes(from.byte());
  if (how / 16 == 3) chosen.length = payload.size() * 17;
  std::string made;
  if (how / 16 >= 4 && how / 16 < 8) {
    std::string repeated;
    for (int i = 0; i != 1 << (how / 16 - 4) * 2; ++i) repeated += payload;
    payload = made = deflated(repeated);
  }
  return frame(first & 0xf, payload, chosen);
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  std::string const hello = packed(text, true, 0, "hello");
  std::string const cut = packed(text, false, 0, "\xe2\x82") + packed(ping, true, 0, "p") + packed(continuation, true, 0, "\xac");
  std::string const end = packed(closing, true, 0, "\x03\xe8 bye");
  std::vector<std::string> made;
  // The first byte: whether the rest is frames (even) or bytes, whether there is compression, and the size of a piece.
  for (std::string const& how : {std::string(1, '\0'), std::string("\x0c"), std::string("\xfc")}) {
    made.push_back(how + hello + cut + end);
    made.push_back(how + packed(binary, true, 16, std::string(100, '\0')) + packed(binary, true, 32, "x") + packed(pong, true, 0, ""));
    made.push_back(how + packed(binary, false, 0, std::string(200, 'x')) + packed(continuation, false, 0, std::string(250, 'y')) +
                   packed(continuation, true, 48, std::string(250, 'z')) + end);
  }
  for (std::string const& how : {std::string("\2"), std::string("\x1e")}) {
    std::string const whole = deflated("Hello, hello, hello");
    made.push_back(how + squeezed(text, true, 64, "hello") + hello + squeezed(binary, true, 96, std::string(120, 'x')) + end);
    made.push_back(how + squeezed(text, true, 0, whole) + squeezed(text, false, 0, whole.substr(0, 4)) + packed(ping, true, 0, "p") +
                   packed(continuation, true, 0, whole.substr(4)));
    // Too long, and not UTF-8.
    made.push_back(how + squeezed(binary, true, 112, std::string(200, 'x')) + hello);
    made.push_back(how + squeezed(text, true, 64, "\xff\xff") + hello);
  }
  made.push_back("\5" + frame(text, "hello") + frame(binary, std::string(300, 'x')) + close_frame(1000));
  return made;
}

void fuzz::run_one(std::string_view bytes) {
  fuzz::input from(bytes);
  std::uint8_t const how = from.byte();
  std::string wire(how % 2 != 0 ? from.rest() : "");
  while (how % 2 == 0 && !from.empty()) wire += next_frame(from);
  bool const compression = how / 2 % 2 != 0;
  REQUIRE(outcome(wire, SIZE_MAX, compression) == outcome(wire, 1 + how / 4, compression));
}
